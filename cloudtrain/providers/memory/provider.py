"""The pretend cloud as a provider. Its machines are folders of this computer; its prices are made up; its rules are real.

It keeps the contract to the letter, so that it can stand for a cloud in examples and tests: it enforces deadlines itself,
ends what runs on a machine when the machine ends, and can be told to fail.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ...model.errors import InstanceNotFoundError, ProviderError, ProviderUnavailableError
from ...model.finding import Finding
from ...model.instance import Instance, InstanceRef, InstanceState, LaunchOrder, Leftover
from ...model.lease import Lease
from ...model.offer import Offer
from ...model.plain import from_plain, to_plain
from ...model.spec import Market, Resources
from ..base import ProviderSettings
from ..folders import disk_errors_told, end_folder
from ..processes import end_processes
from .machine import Machine, id_for, is_id
from .market import NAME, all_offers
from .store import FileStore, Machines, Store


class MemoryProvider:
    """A `Provider` that is `Pausable`, made of a store and folders below `settings.home`."""

    name = NAME

    def __init__(self, settings: ProviderSettings, store: Store, *, boot_s: float = 0.0) -> None:
        """Make the cloud. A machine runs `boot_s` seconds of the settings' clock after it was switched on."""
        self._clock = settings.clock
        self._folder = settings.home / "memory-machines"
        self._store = store
        self._boot_s = boot_s
        self._failures: list[tuple[str, Exception, bool]] = []

    def check(self) -> Sequence[Finding]:
        """Say that this is a pretend cloud, which needs nothing."""
        return (Finding(True, "memory", "a pretend cloud: its machines are folders here, and nothing is ever billed"),)

    def offers(self, need: Resources) -> Sequence[Offer]:
        """Return what satisfies the need, at made-up prices of today."""
        with self._failing("offers"):
            return tuple(offer for offer in all_offers(self._now().date()) if offer.satisfies(need))

    def launch(self, order: LaunchOrder) -> Instance:
        """Make one machine, or return the one this token made."""
        with self._failing("launch"), self._store.change() as machines:
            for id in machines:
                if machines[id].get("token") == order.token:
                    return self._shown(self._look(machines, id))
            self._refuse_unknown(order)
            machine = Machine.ordered(order, id_for(order.token, machines), self._now(), self._boot_s)
            machines[machine.id] = to_plain(machine)
            return self._shown(machine)

    def get(self, ref: InstanceRef) -> Instance:
        """Return the machine as it is now; a terminated one stays known."""
        with self._failing("get"), self._store.change() as machines:
            return self._shown(self._look(machines, self._known(machines, ref)))

    def list_owned(self) -> Sequence[Instance]:
        """Return every machine that is not terminated."""
        with self._failing("list_owned"), self._store.change() as machines:
            seen = [self._look(machines, id) for id in machines]
            return tuple(self._shown(machine) for machine in seen if machine.state is not InstanceState.TERMINATED)

    def leftovers(self) -> Sequence[Leftover]:
        """Return nothing: a machine's folder goes with it."""
        with self._failing("leftovers"):
            return ()

    def remove(self, leftover: Leftover) -> None:
        """Refuse what is not ours; of our own there is nothing to remove."""
        with self._failing("remove"):
            if leftover.provider != NAME:
                raise ProviderError(f"{leftover.id} is no leftover of the pretend cloud")

    def terminate(self, ref: InstanceRef) -> None:
        """End the machine, what runs on it and its folder."""
        with self._failing("terminate"), self._store.change() as machines:
            if ref.id in machines:
                self._end(machines, self._look(machines, ref.id))

    def extend(self, ref: InstanceRef, lease: Lease) -> None:
        """Move the deadline of a machine that is on."""
        with self._failing("extend"), self._store.change() as machines:
            machine = self._look(machines, self._living(machines, ref))
            if not machine.is_on:
                raise ProviderError(
                    f"{machine.name} is stopped and has no deadline to move", f"Start it: cloudtrain start {machine.name}"
                )
            self._keep(machines, machine.started(lease, self._now(), self._boot_s))

    def stop(self, ref: InstanceRef) -> None:
        """Switch the machine off: what runs on it ends, its folder stays, its lease is over."""
        with self._failing("stop"), self._store.change() as machines:
            machine = self._look(machines, self._living(machines, ref))
            end_processes(self._root(machine.id))
            self._keep(machines, machine.stopped())

    def start(self, ref: InstanceRef, lease: Lease) -> Instance:
        """Switch the machine on under a new lease."""
        with self._failing("start"), self._store.change() as machines:
            machine = self._look(machines, self._living(machines, ref)).started(lease, self._now(), self._boot_s)
            self._keep(machines, machine)
            return self._shown(machine)

    def resize(self, ref: InstanceRef, offer: Offer) -> None:
        """Give a stopped machine another type."""
        with self._failing("resize"), self._store.change() as machines:
            machine = self._look(machines, self._living(machines, ref))
            if machine.state is not InstanceState.STOPPED:
                raise ProviderError(f"{machine.name} is {machine.state.value}; only a stopped machine changes its type")
            if offer.region != machine.region:
                raise ProviderError(f"{machine.name} is in {machine.region} and the offer in {offer.region}")
            self._keep(machines, machine.resized(offer))

    def fail_next(self, operation: str, error: Exception, *, after: bool = False) -> None:
        """Let the next call of an operation raise `error`: before it did anything, or after it did all of it.

        Raises:
            ValueError: there is no such operation.
        """
        if operation not in OPERATIONS:
            raise ValueError(f"no operation {operation!r}; there are {', '.join(OPERATIONS)}")
        self._failures.append((operation, error, after))

    def reclaim(self, ref: InstanceRef) -> None:
        """Take a spot machine back, as a cloud does: it ends at once, with what runs on it and its folder.

        Raises:
            InstanceNotFoundError: there is no such machine.
            ValueError: it was not bought as spot.
        """
        with self._store.change() as machines:
            machine = self._look(machines, self._living(machines, ref))
            if machine.market is not Market.SPOT:
                raise ValueError(f"{machine.id} is {machine.market.value} and cannot be reclaimed")
            self._end(machines, machine)

    @contextmanager
    def _failing(self, operation: str) -> Iterator[None]:
        due = next((failure for failure in self._failures if failure[0] == operation), None)
        if due is None:
            yield
            return
        self._failures.remove(due)
        _, error, after = due
        if after:
            yield
        raise error

    def _refuse_unknown(self, order: LaunchOrder) -> None:
        asked = order.offer
        known = {(o.instance_type, o.region, o.market) for o in all_offers(self._now().date())}
        if (asked.instance_type, asked.region, asked.market) not in known:
            raise ProviderError(
                f"The pretend cloud has no {asked.instance_type} in {asked.region} ({asked.market.value})",
                f"cloudtrain offers --provider {NAME}",
            )

    def _look(self, machines: Machines, id: str) -> Machine:
        """Return the machine as it is now. The cloud enforces its deadline: a look after it finds the machine ended."""
        try:
            recorded = from_plain(Machine, machines[id])
            if recorded.id != id or not is_id(id):
                raise ValueError("it is not named like one")  # its folder will be removed one day
        except (ValueError, TypeError, KeyError) as error:
            raise ProviderUnavailableError(f"The pretend cloud's record of {id} is damaged: {error}") from error
        machine = recorded.at(self._now())
        if machine.state is InstanceState.TERMINATED and recorded.state is not InstanceState.TERMINATED:
            self._end(machines, machine)
        else:
            self._keep(machines, machine)
        return machine

    def _known(self, machines: Machines, ref: InstanceRef) -> str:
        if ref.id not in machines:
            raise InstanceNotFoundError(f"The pretend cloud knows no machine {ref.id}")
        return ref.id

    def _living(self, machines: Machines, ref: InstanceRef) -> str:
        if self._look(machines, self._known(machines, ref)).state is InstanceState.TERMINATED:
            raise InstanceNotFoundError(f"The machine {ref.id} of the pretend cloud is terminated")
        return ref.id

    def _end(self, machines: Machines, machine: Machine) -> None:
        end_folder(self._root(machine.id))
        self._keep(machines, machine.ended())

    def _keep(self, machines: Machines, machine: Machine) -> None:
        machines[machine.id] = to_plain(machine)

    def _shown(self, machine: Machine) -> Instance:
        root = self._root(machine.id)
        if machine.state is InstanceState.RUNNING:
            with disk_errors_told(root):
                root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return machine.shown(root)

    def _root(self, id: str) -> Path:
        return self._folder / id

    def _now(self) -> datetime:
        return self._clock.now()


OPERATIONS = ("offers", "launch", "get", "list_owned", "leftovers", "remove", "terminate", "extend", "stop", "start", "resize")
"""What can be told to fail."""


def create(settings: ProviderSettings) -> MemoryProvider:
    """Make the pretend cloud of this computer, the same one for every process."""
    return MemoryProvider(settings, FileStore(settings.home / "memory-cloud.json"))
