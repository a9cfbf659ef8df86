"""Machines of one's own as a provider: nothing is rented, a machine is claimed for a while. The claim is on the machine."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...model.errors import InstanceNotFoundError, NoCapacityError, ProviderError, ProviderUnavailableError
from ...model.finding import Finding
from ...model.instance import Instance, InstanceRef, InstanceState, LaunchOrder, Leftover
from ...model.lease import Lease
from ...model.offer import Offer
from ...model.spec import HostSpec, Resources
from ..base import ProviderSettings
from ..folders import disk_errors_told
from .asking import Asking, ask_all
from .claim import Claim
from .facts import NAME, REGION, described, offer_of
from .records import Asked, Record, Records
from .trust import by_hand
from .wake import send_wake_packet

NO_CONFIG = "Name them in a machine config: docs/providers/hosts.md"


class HostsProvider:
    """A `Provider` of machines that are there already. It is not `Pausable`: what is switched off keeps nothing for us."""

    name = NAME

    def __init__(self, settings: ProviderSettings) -> None:
        self._clock = settings.clock
        self._home = settings.home
        machine = settings.machine
        self._configured = tuple(machine.hosts if machine is not None and machine.hosts else settings.hosts())
        self._ask = Asking(settings.on_host)
        self._records = Records(settings.home / "hosts")
        self._seen: dict[str, Offer] = {}

    def check(self) -> Sequence[Finding]:
        """Ask every machine what it is made of and who has it."""
        if not self._configured:
            return (Finding(True, "hosts", f"no machines of your own are named. {NO_CONFIG}"),)
        return tuple(self._finding(host, said) for host, said in ask_all(self._configured, self._look))

    def offers(self, need: Resources) -> Sequence[Offer]:
        """Return the machines that satisfy the need, those that are awake first. Each is asked once in a provider's life.

        One that sleeps and can be woken is offered as it was last seen; never seen, it satisfies no need but none.
        """
        new = [host for host in self._configured if host.name not in self._seen]
        answers = ask_all(new, lambda host: self._ask.offer(host, self._clock.now().date()))
        awake = {host.name: said for host, said in answers if isinstance(said, Offer)}
        for offer in awake.values():
            self._records.remember_offer(offer)
        self._seen |= awake
        asleep = {host.name: self._sleeper(host) for host in self._configured if host.wake and host.name not in self._seen}
        silent = [said for _, said in answers if isinstance(said, ProviderError)]
        if silent and not self._seen and not asleep:
            raise ProviderUnavailableError("\n".join(error.message for error in silent), silent[0].hint)
        seen = [self._seen[host.name] for host in self._configured if host.name in self._seen]
        return tuple(offer for offer in (*seen, *asleep.values()) if offer.satisfies(need))

    def launch(self, order: LaunchOrder) -> Instance:
        """Claim the machine that the offer is, or wake it first. Another's claim, and silence, are no capacity."""
        host = next((host for host in self._configured if host.name == order.offer.zone), None)
        if host is None or order.offer.instance_type != host.name:
            raise ProviderError(
                f"No machine of your own is called {order.offer.instance_type!r} in {order.offer.zone!r}", NO_CONFIG
            )
        wanted = Claim.ordered(order, self._clock.now())
        try:
            self._ask.claim(host)  # harmless: what fails here has changed nothing there
        except ProviderUnavailableError as error:
            if host.wake is None:
                raise NoCapacityError(error.message, error.hint) from error
            send_wake_packet(host.wake)
            self._record(wanted, host, Asked.WAKING)
            return self._shown(host, wanted, InstanceState.PENDING)
        return self._take(host, wanted)

    def get(self, ref: InstanceRef) -> Instance:
        """Return a claimed machine. Past its deadline it still runs, until somebody else takes it over.

        One that was woken is claimed here, in the moment that it answers.
        """
        host, record = self._host(ref), self._records.read(ref.id)
        if record is not None and record.asked is Asked.RELEASED:
            return self._unheard(record)  # It said so itself, and may be switched off by now.
        try:
            held = self._ask.claim(host)
        except ProviderUnavailableError:
            if record is not None and record.asked is Asked.WAKING:
                return self._unheard(record)
            raise
        if held is not None and held.id == ref.id:
            return self._shown(host, held, InstanceState.RUNNING)
        if record is not None and record.asked is Asked.WAKING:
            return self._take_woken(host, record.claim)
        self._records.remove(ref.id)
        raise _unknown(ref)

    def list_owned(self) -> Sequence[Instance]:
        """Return every claim on the machines that answer, and those that this computer knows of on the silent ones."""
        known = {record.host.name: record.host for record in self._recorded()} | {host.name: host for host in self._configured}
        listed: list[Instance] = []
        heard: set[str] = set()
        for host, said in ask_all(tuple(known.values()), self._ask.claim):
            if isinstance(said, Claim):
                listed.append(self._shown(host, said, InstanceState.RUNNING))
            if not isinstance(said, ProviderError):
                heard.add(host.name)
        ids = {instance.ref.id for instance in listed}
        unheard = [
            self._unheard(record)
            for record in self._recorded()
            if record.claim.id not in ids and (record.asked is Asked.WAKING or record.host.name not in heard)
        ]
        return tuple(instance for instance in (*listed, *unheard) if instance.state is not InstanceState.TERMINATED)

    def leftovers(self) -> Sequence[Leftover]:
        """Return nothing: what runs leave on a machine of one's own costs nothing and is its owner's."""
        return ()

    def remove(self, leftover: Leftover) -> None:
        """Do nothing: there is never anything left over."""

    def terminate(self, ref: InstanceRef) -> None:
        """End what runs under the claim, let go of it, and run the machine's shutdown command if it has one."""
        host, record = self._host(ref), self._records.read(ref.id)
        if record is not None and record.asked is Asked.RELEASED:
            return
        if record is not None and record.asked is Asked.WAKING:
            self._records.remove(ref.id)  # The machine has not heard of us.
            return
        held = record.claim if record is not None else self._ask.claim(host)
        if held is None or held.id != ref.id:
            return
        self._ask.release(host, held.token)
        # No full disk keeps a machine claimed; without the record, one that is off by now is merely asked in vain.
        with contextlib.suppress(ProviderUnavailableError):
            self._record(held, host, Asked.RELEASED)

    def extend(self, ref: InstanceRef, lease: Lease) -> None:
        """Move the deadline of the claim and of the jobs under it."""
        host = self._host(ref)
        held = self._ask.claim(host)
        if held is None or held.id != ref.id:
            raise _unknown(ref)
        longer = replace(held, deadline=lease.deadline)
        held = self._ask.move(host, longer, self._clock.now())
        if held is None or held.id != ref.id:
            raise _unknown(ref)
        self._record(longer, host, Asked.CLAIMED)

    def _take(self, host: HostSpec, wanted: Claim) -> Instance:
        """Write down that the machine is asked for, then ask; a refusal is a fact, an error is not."""
        self._record(wanted, host, Asked.CLAIMED)
        held = self._ask.take(host, wanted, self._clock.now())
        if held.token == wanted.token:
            return self._shown(host, held, InstanceState.RUNNING)
        self._records.remove(wanted.id)
        raise NoCapacityError(f"{host.name} is claimed by {held.owner} until {held.deadline:%Y-%m-%d %H:%M} UTC ({held.name})")

    def _take_woken(self, host: HostSpec, wanted: Claim) -> Instance:
        try:
            return self._take(host, wanted)
        except NoCapacityError as error:
            raise InstanceNotFoundError(error.message, "Somebody was quicker. Try again.") from error

    def _unheard(self, record: Record) -> Instance:
        """Return what this computer knows of a claim on a machine that does not answer."""
        return self._shown(record.host, record.claim, _UNHEARD[record.asked])

    def _shown(self, host: HostSpec, claim: Claim, state: InstanceState) -> Instance:
        runs = state is InstanceState.RUNNING
        return Instance(
            ref=InstanceRef(NAME, claim.id, REGION, host.name),
            name=claim.name,
            state=state,
            token=claim.token,
            owner=claim.owner,
            instance_type=host.name,
            address=host.address if runs else "",
            endpoint=self._ask.endpoint(host) if runs else None,
            usd_per_hour=host.usd_per_hour,
            launched_at=claim.claimed_at,
            deadline=claim.deadline,
        )

    def _host(self, ref: InstanceRef) -> HostSpec:
        """Return the machine that a reference is to: of the config, or as it was when it was claimed."""
        record = self._records.read(ref.id)
        known = list(self._configured) + ([record.host] if record is not None else [])
        for host in known:
            if host.name == ref.zone:
                return host
        raise ProviderUnavailableError(f"No machine config names {ref.zone!r} any more, so it cannot be asked", NO_CONFIG)

    def _record(self, claim: Claim, host: HostSpec, asked: Asked) -> None:
        with disk_errors_told(self._home):
            self._records.write(Record(claim, host, asked, self._clock.now()))

    def _recorded(self) -> Sequence[Record]:
        with disk_errors_told(self._home):
            return tuple(self._records.all(self._clock.now()))

    def _sleeper(self, host: HostSpec) -> Offer:
        """Return a machine that sleeps as it was last seen, at the price that its config says now."""
        nothing: Mapping[str, object] = {}
        bare = offer_of(host, nothing, self._clock.now().date())
        seen = self._records.remembered_offer(host)
        if seen is None:
            return bare
        return replace(seen, usd_per_hour=bare.usd_per_hour, priced_on=bare.priced_on, source=bare.source)

    def _look(self, host: HostSpec) -> str:
        offer = self._ask.offer(host, self._clock.now().date())
        held = self._ask.claim(host)
        if held is None:
            return f"{described(offer)}; free"
        until = f"{held.deadline:%Y-%m-%d %H:%M} UTC"
        if held.deadline < self._clock.now():
            return f"{described(offer)}; free: the claim of {held.owner} ended {until}"
        return f"{described(offer)}; claimed by {held.owner} until {until}"

    def _finding(self, host: HostSpec, said: str | ProviderError) -> Finding:
        if isinstance(said, str):
            return Finding(True, host.name, said)
        if host.wake is not None and isinstance(said, ProviderUnavailableError):
            return Finding(True, host.name, f"does not answer, and is woken when it is needed ({host.wake.mac})")
        hint = said.hint or f"Try it by hand: ssh {by_hand(host)}"
        return Finding(False, host.name, said.message.removeprefix(f"{host.name} "), hint)


_UNHEARD = {
    Asked.WAKING: InstanceState.PENDING,
    Asked.CLAIMED: InstanceState.UNKNOWN,
    Asked.RELEASED: InstanceState.TERMINATED,
}


def create(settings: ProviderSettings) -> HostsProvider:
    """Make the provider."""
    return HostsProvider(settings)


def _unknown(ref: InstanceRef) -> InstanceNotFoundError:
    return InstanceNotFoundError(f"{ref.zone} is not claimed as {ref.id} any more")
