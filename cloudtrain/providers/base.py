"""The contract between cloudtrain and a source of machines.

*A provider translates. It never waits, retries, prints, asks or decides.* It turns our words into a cloud's calls and the
cloud's answers into our words, one call at a time. Throttling is retried by the cloud's own SDK, configured in the adapter.
Waiting, walking down the list of offers, recording and verifying are the stages' work.

Both sides promise:

* **We** write every launch into the ledger before we call `launch`, never call it without a lease, pass the same token when
  we are not sure that an earlier call arrived, and look (`get`, `list_owned`) before we believe.
* **The provider** raises only `ProviderError` and its kinds (an SDK's error leaves through the adapter's one table, with its
  cause kept) and what our own `operations` raise, imports its SDK only when it is used, tags everything it makes, and never
  answers from memory what the cloud can answer.

What a provider can do is a type: a source of prices is an `OfferSource`, one that can also rent is a `Provider`, one whose
meter really stops while the disk is kept is `Pausable` too. What a provider is not, is refused when a plan is made and not
when money has been spent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..model.clock import Clock
from ..model.finding import Finding
from ..model.instance import Instance, InstanceRef, LaunchOrder, Leftover, Outlook
from ..model.lease import Lease
from ..model.money import BilledDay
from ..model.offer import Offer
from ..model.spec import HostSpec, MachineSpec, Resources
from .on_host import RunOnHost, no_line
from .operations import InThisProcess, Operations


def no_hosts() -> Sequence[HostSpec]:
    """Return no machines."""
    return ()


def say_nothing(_sentence: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What an adapter is made with.

    Attributes:
        home: cloudtrain's state folder on this computer; an adapter may keep a folder of its own name there.
        clock: the time of day.
        prices: the dated price table's rows for a provider name, for when the cloud's price API may not be asked.
        machine: the machine config in use, for endpoint addresses and regions; None when none is named.
        on_host: how an adapter that rents nothing asks machines of one's own; it reaches no cloud's machine.
        hosts: the machines of one's own that any machine config names, for when none is in use.
        say: hears a sentence for a person about what an adapter did, or could not do, beside what was asked. From any thread.
        operations: where it notes what its cloud has accepted for an order and not finished.
    """

    home: Path
    clock: Clock
    prices: Callable[[str], Sequence[Offer]]
    machine: MachineSpec | None = None
    on_host: RunOnHost = no_line
    hosts: Callable[[], Sequence[HostSpec]] = no_hosts
    say: Callable[[str], None] = say_nothing
    operations: Operations = field(default_factory=InThisProcess)


@runtime_checkable
class OfferSource(Protocol):
    """Knows what a market has and what it costs."""

    @property
    def name(self) -> str:
        """The word a config writes: "aws"."""
        ...

    def check(self) -> Sequence[Finding]:
        """Look at credentials, permissions and quota: for free, before money. Never raises for what it finds."""
        ...

    def offers(self, need: Resources) -> Sequence[Offer]:
        """Return all that satisfies the need, priced and dated, in any order. May be empty.

        Raises:
            ProviderUnavailableError: neither the cloud nor the dated table could be read.
        """
        ...


@runtime_checkable
class PriceLister(Protocol):
    """Can be asked for the prices of a whole region, for the person's own copy of the price table."""

    def price_list(self, region: str) -> Sequence[Offer]:
        """Return today's prices of what a region has, one offer for each type and market, without zones.

        Raises:
            ProviderError: the cloud refused or did not answer.
        """
        ...


@runtime_checkable
class Provider(OfferSource, Protocol):
    """Rents machines."""

    def launch(self, order: LaunchOrder) -> Instance:
        """Make one machine with its lease armed in this very call; return at once, most likely PENDING.

        Idempotent by `order.token`: called again with the same order it returns the machine the first call made. When it
        raises, it has left nothing behind that it knows of; what it cannot know is found by `list_owned` and the token.

        Raises:
            NoCapacityError: the next offer may do.
            QuotaExceededError: no other zone of this region will do; CloudQuotaExceededError: no other region either.
            ProviderError: any other refusal.
        """
        ...

    def get(self, ref: InstanceRef) -> Instance:
        """Return the machine as it is now. A machine that is gone may be returned as TERMINATED for a while.

        Raises:
            InstanceNotFoundError: the cloud answered, and knows no such machine.
            ProviderUnavailableError: the cloud did not answer; nothing may be concluded.
        """
        ...

    def list_owned(self) -> Sequence[Instance]:
        """Return all that carries our tags, in every region, whoever remembers it, terminated ones left out."""
        ...

    def leftovers(self) -> Sequence[Leftover]:
        """Return what is ours, is no machine, belongs to no machine that lives, and may cost. In every region."""
        ...

    def remove(self, leftover: Leftover) -> None:
        """Remove one of the leftovers. An absent one is a success.

        Raises:
            ProviderError: the cloud does not let go of it.
        """
        ...

    def terminate(self, ref: InstanceRef) -> None:
        """End the machine and all that `launch` made beside it. An absent machine is a success. Does not wait.

        What a cloud lets go of only when the machine is gone (a firewall group) is removed when this is called again then,
        which the stage that shuts down does.
        """
        ...

    def extend(self, ref: InstanceRef, lease: Lease) -> None:
        """Move the deadline, there and in the cloud, to `lease.deadline`.

        Raises:
            InstanceNotFoundError: there is no such machine.
            ProviderError: the cloud does not let a machine that runs live longer; its deadline stands as it was.
        """
        ...


@runtime_checkable
class Pausable(Protocol):
    """Can switch a machine off so that compute is no longer billed and the disk is kept."""

    def stop(self, ref: InstanceRef) -> None:
        """Switch off; a machine that is off already is a success. Does not wait.

        Raises:
            InstanceNotFoundError: there is no such machine.
        """
        ...

    def start(self, ref: InstanceRef, lease: Lease) -> Instance:
        """Switch on with a new lease armed in this very call. A running machine is returned with that lease.

        Raises:
            InstanceNotFoundError: there is no such machine.
            NoCapacityError: the cloud has no room for it now; the disk is kept.
        """
        ...


@runtime_checkable
class Resizable(Protocol):
    """Can give a stopped machine another instance type, its disk kept."""

    def resize(self, ref: InstanceRef, offer: Offer) -> None:
        """Give a stopped machine the offer's type and price. Asked again for the type it has, it is a success.

        Raises:
            InstanceNotFoundError: there is no such machine.
            ProviderError: it is not stopped, or the type does not take its disk.
        """
        ...


@runtime_checkable
class Foreseeing(Protocol):
    """Can say, for free, what a launch would make."""

    def outlook(self, machine: MachineSpec, offer: Offer) -> Outlook:
        """Return the image, the disk, the quota and what would be left to pay when stopped.

        Raises:
            ProviderError: the cloud cannot be asked.
        """
        ...


@runtime_checkable
class Bills(Protocol):
    """Can say what the cloud itself billed."""

    def billed(self, since: date, until: date) -> Sequence[BilledDay]:
        """Return what was billed for what carries our tags, day by day (UTC), from `since` on and before `until`.

        A day without a bill may be left out. Credits and discounts are in it, as far as the cloud takes them off.

        Raises:
            PermissionDeniedError: the account may not look at its bill.
            ProviderError: the bill cannot be read.
        """
        ...


@runtime_checkable
class Preparable(Protocol):
    """Can make, once for each account, one more line that keeps our machines' deadlines: the cloud's, or the machine's own."""

    def is_prepared(self) -> bool:
        """Say whether an account was prepared from this computer. Asks nobody."""
        ...

    def preparation(self) -> str:
        """Say what `prepare_account` would make, every right it would give included. Asks nobody."""
        ...

    def kept_without(self) -> str:
        """Say in a sentence what keeps a machine's deadline as long as the account is not prepared, and what does not."""
        ...

    def kept_with(self) -> str:
        """Say in a sentence what keeps the deadline of a machine that is rented after the preparation."""
        ...

    def prepare_account(self) -> str:
        """Make it, or find it, and return its name. Safe to repeat.

        Raises:
            PermissionDeniedError: the account may not make it.
            ProviderError: any other refusal.
        """
        ...


@runtime_checkable
class Guarded(Protocol):
    """Keeps its machines' ports shut but for the caller's address, which may change."""

    def let_in(self, ref: InstanceRef) -> None:
        """Let the caller's address of now reach the machine, and no other one.

        Raises:
            InstanceNotFoundError: there is no such machine.
        """
        ...
