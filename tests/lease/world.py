"""A world of one person's two terminals, a cloud and its machines, in which only time and misfortune are made up.

Leases are granted, spent and extended by the real code with a real ledger on a pretend cloud that keeps the contract; what a
machine does about its end is decided by the real guest's rules and its arithmetic of clocks. A machine here is a model of one:
a wall clock that may be moved, an uptime, a disk that may be full or wiped, and who looks every ten seconds.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from cloudtrain import leasing, machines
from cloudtrain.journey import Interrupt, Tools
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.errors import CloudtrainError, HostUnreachableError, ProviderUnavailableError
from cloudtrain.model.instance import Endpoint, Instance, InstanceRef
from cloudtrain.model.lease import GuestEnd, Lease
from cloudtrain.model.plain import from_plain, to_plain
from cloudtrain.model.spec import Budget, MachineSpec, OnFinish
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.memory import DictStore, MemoryProvider
from cloudtrain.providers.memory.machine import Machine as Record
from cloudtrain.providers.memory.store import Machines
from cloudtrain.remote.base import Completed

from .machine_model import START, Model, steps, unix

MINUTE = 60.0
TYPES = ("mem.cpu", "mem.gpu")
ENDS = ("both", "machine", "cloud")
"""What keeps the deadline: the machine and its cloud, or one of them alone."""


class _Told(DictStore):
    """A store that says what changed."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world

    @contextmanager
    def change(self) -> Iterator[Machines]:
        with super().change() as held:
            yield held
        self._world.follow(held)


class Cloud(MemoryProvider):
    """The pretend cloud with machines that can end their own bill. They are models, so there are no folders."""

    before_start: Callable[[], None] = staticmethod(lambda: None)

    def start(self, ref: InstanceRef, lease: Lease) -> Instance:
        """Switch a machine on, after whatever is to come in between."""
        self.before_start()
        return super().start(ref, lease)

    def _shown(self, machine: Record) -> Instance:
        return replace(machine.shown(Path(machine.id)), guest_end=GuestEnd.POWEROFF)


class Line:
    """A line to a model's guest: it carries `lease` and `lease --set`, and says yes to everything else."""

    home, cache, python = PurePosixPath("/home/me/.cloudtrain"), PurePosixPath("/cache"), "python3"

    def __init__(self, model: Model) -> None:
        self._model = model

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        if "lease" not in argv:
            return Completed(0, b"", b"")
        try:
            if "--set" in argv:
                self._model.tell(json.loads(stdin))
        except ValueError as error:
            return Completed(1, json.dumps({"error": str(error)}).encode(), b"")
        found = self._model.lease
        assert found is not None
        shown = {**vars(found), "armed": True, "keeper": "running", "ends_at": found.deadline}
        return Completed(0, json.dumps(shown).encode(), b"")

    def read(self, path: PurePosixPath, *, offset: int = 0) -> bytes:
        return b"x"

    def close(self) -> None:
        pass

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class World:
    """All of it. Each verb of a person or of fate is a method; `check` looks whether the laws still hold.

    `is_strict` is off for as long as two things are so that the tests named after them pin down. `extend --budget` turns
    dollars into seconds: where minutes are billed that were begun, each such extension may cost up to one of them more than
    its dollars. And a machine that its deadline stopped unseen is not booked when it is started again: here a person looks
    before.
    """

    def __init__(self, home: Path, ends: str, cap_usd: float | None, *, is_strict: bool = False) -> None:
        self.is_strict = is_strict
        self.ends = ends
        self.cap_usd = cap_usd
        self.models: dict[str, Model] = {}
        self.t = 0.0
        self._is_following = False
        self._store = _Told(self)
        self.provider = Cloud(ProviderSettings(home, self, lambda _: ()), self._store)
        self.ledgers = [Ledger.open(home, self) for _ in range(2)]
        self._gone_until = [0.0, 0.0]
        self._granting: tuple[float | None, float] | None = None
        self._extending_usd: float | None = None

    def close(self) -> None:
        for ledger in self.ledgers:
            ledger.close()

    # The clock, as everybody but the machines' guests reads it

    def now(self) -> datetime:
        return START + timedelta(seconds=self.t)

    def monotonic(self) -> float:
        return self.t

    def sleep(self, seconds: float) -> None:
        self.live(seconds)

    # A person

    def launch(
        self, who: int, name: int, usd: float | None, lifetime_s: float, kind: int, is_kept: bool, *, waits: bool = True
    ) -> None:
        """Start a machine by its name, from a terminal."""
        budget = Budget(usd, lifetime_s)
        at_end = OnFinish.STOP if is_kept else OnFinish.TERMINATE
        if not self.is_strict:
            self.look(who)
        self._granting = (usd, lifetime_s)
        self._try(who, lambda tools: machines.start(_spec(name, kind), tools, budget=budget, on_finish=at_end, wait=waits))
        self._granting = None

    def look(self, who: int) -> None:
        """Write down what there is, as `status` does."""
        ledger = self.ledgers[who].spend
        self._try(
            who,
            lambda _: ledger.seen_all([self.provider.get(ref) for ref in {c.ref for c in ledger.open_entries()}], self.now()),
        )

    def race(self, usd: float) -> None:
        """Let two terminals launch at once: the second does all of it between the first one's plan and its order."""
        ledger = self.ledgers[0]
        intend, ledger.intend = ledger.intend, lambda order: (rival(), intend(order))  # type: ignore[method-assign]

        def rival() -> None:
            granting = self._granting
            self.launch(1, 1, usd, 7200.0, 0, False)
            self._granting = granting

        try:
            self.launch(0, 0, usd, 7200.0, 0, False)
        finally:
            ledger.intend = intend  # type: ignore[method-assign]

    def race_again(self, seconds: float) -> None:
        """Let one terminal launch while the cloud is being asked to start what the other one has, if that is off.

        No time passes in between: whoever is asked to start a machine has its lease by then.
        """

        def rival() -> None:
            granting, self.provider.before_start = self._granting, lambda: None
            self.launch(1, 1, None, 7200.0, 1, False, waits=False)
            self._granting = granting

        self.provider.before_start = rival
        try:
            self.launch(0, 0, None, seconds, 1, True)
        finally:
            self.provider.before_start = lambda: None

    def extend(self, who: int, name: int, usd: float | None, seconds: float | None) -> None:
        """Move a machine's deadline."""
        self._extending_usd = usd
        self._try(who, lambda tools: leasing.extend(f"lab-{name}", tools, usd=usd, seconds=seconds))
        self._extending_usd = None

    def stop(self, who: int, name: int) -> None:
        self._try(who, lambda tools: machines.stop(f"lab-{name}", tools))

    def terminate(self, who: int, name: int) -> None:
        self._try(who, lambda tools: machines.terminate(f"lab-{name}", tools))

    def resize(self, who: int, name: int, kind: int) -> None:
        """Change a machine's price: a machine of another type costs another one."""
        self._try(who, lambda tools: machines.resize(f"lab-{name}", TYPES[kind], tools))

    def lose_laptop(self, who: int, seconds: float) -> None:
        self._gone_until[who] = self.t + seconds

    # Fate

    def outage(self, operation: str, after: bool) -> None:
        self.provider.fail_next(operation, ProviderUnavailableError("no answer"), after=after)

    def suffer(self, name: int, what: str, value: float) -> None:
        """Let something happen on every machine of a name that is on."""
        for model in self._of(f"lab-{name}"):
            if what == "reboot":
                model.reboot(value)
            elif what == "kill":
                model.kill()
            elif what == "wipe":
                model.disk = None
            elif what == "full":
                model.is_full = bool(value)
            elif what == "clock":
                model.clock_error += value
            else:
                model.busy_until = model.t + value

    def live(self, seconds: float) -> None:
        """Let time pass, everywhere."""
        until = self.t + seconds
        for model in [model for model in self.models.values() if model.is_on]:
            self._live(model, until)
        self.t = until
        self.check()

    def check(self) -> None:
        """The laws."""
        self._check_cap()
        for model in self.models.values():
            self._check_end(model)
            if model.granted_usd is not None:
                over_s = self._late_s(model) + (MINUTE if self._late_s(model) else 0.0)
                most = model.granted_usd + (over_s + model.begun_s) * model.usd_per_hour / 3600
                assert model.bill_usd(MINUTE, self.t) <= most + 1e-9, f"{model.id} costs more than it was granted"

    def _check_cap(self) -> None:
        """The month's cap holds for what runs, by the second. What a stopped machine's disk costs is told and not capped."""
        if self.cap_usd is not None:
            late = math.fsum(self._late_s(model) * model.usd_per_hour / 3600 for model in self.models.values())
            spent = math.fsum(model.bill_usd(1.0, self.t) for model in self.models.values())
            assert spent <= self.cap_usd + late + 1e-6, "the month costs more than its cap"

    def follow(self, held: Machines) -> None:
        """See what the cloud's books say since somebody changed them."""
        if self._is_following:
            return
        for id, plain in held.items():
            record = from_plain(Record, plain)
            model = self.models.setdefault(id, Model(id))
            if record.is_on and record.deadline is not None:
                deadline = (record.deadline - START).total_seconds()
                if not model.is_on and model.end_at != deadline:
                    self._grant(model, record, deadline)
                    model.switch_on(self.t, deadline, record.usd_per_hour or 0.0)
                elif model.is_on and deadline != model.end_at:
                    self._extend(model, deadline - model.end_at)
                model.end_at = deadline
                model.promised = max(model.promised, deadline)
            elif model.is_on and self.t < model.end_at:
                model.switch_off(self.t)  # a person's doing

    def _grant(self, model: Model, record: Record, deadline: float) -> None:
        usd, lifetime_s = self._granting or (None, math.inf)
        assert deadline - self.t <= lifetime_s + 1e-6
        price = record.usd_per_hour or 0.0
        granted = _whole_minutes_usd(deadline - self.t, price) if usd is None else usd
        model.granted_usd = None if model.granted_usd is None else model.granted_usd + granted
        model.promised = deadline

    def _extend(self, model: Model, more_s: float) -> None:
        usd = self._extending_usd
        if model.granted_usd is not None:
            model.granted_usd += _whole_minutes_usd(more_s, model.usd_per_hour) if usd is None else usd
        model.begun_s += MINUTE if usd is not None and not self.is_strict else 0.0

    def _live(self, model: Model, until: float) -> None:
        cloud_end = model.end_at if self.ends != "machine" else math.inf
        why = model.live_until(min(until, cloud_end), self.ends != "cloud")
        if why:
            if why == "idle":
                assert model.lease is not None
                assert model.lease.idle_timeout_s is not None
                assert model.t - model.last_busy >= model.lease.idle_timeout_s, "it was ended as idle while it worked"
            self._power_off(model)
        elif model.t >= cloud_end:
            model.switch_off(cloud_end)

    def _power_off(self, model: Model) -> None:
        """Let the cloud see a machine whose own system switched it off."""
        model.switch_off(model.t)
        self._is_following = True
        with self._store.change() as held:
            record = from_plain(Record, held[model.id])
            if record.is_on:
                ended = record.stopped() if record.at_deadline is OnFinish.STOP else record.ended()
                held[model.id] = to_plain(ended)
        self._is_following = False

    def _check_end(self, model: Model) -> None:
        end = self.t if model.is_on else model.on[-1][1] if model.on else 0.0
        assert end <= model.promised + self._late_s(model) + 0.011, f"{model.id} lives past its latest deadline"
        if model.is_on:
            assert model.lease is not None
            assert model.lease.deadline <= unix(model.promised), f"{model.id} keeps a later deadline than was promised"

    def _late_s(self, model: Model) -> float:
        """Return how much longer than promised a machine may live that its cloud does not end."""
        return model.blind_s if self.ends == "machine" else 0.0

    def _of(self, name: str) -> list[Model]:
        with self._store.change() as held:
            ids = [id for id, plain in held.items() if plain["name"] == name]
        return [self.models[id] for id in ids if self.models[id].is_on]

    def _try(self, who: int, verb: Any) -> None:
        """Let a person type something; that it is refused, or goes wrong, is part of life."""
        if self.t < self._gone_until[who]:
            return
        try:
            verb(self._tools(who))
        except CloudtrainError:
            return
        finally:
            self.check()

    def _tools(self, who: int) -> Tools:
        return Tools(
            ledger=self.ledgers[who],
            clock=self,
            tell=lambda _: None,
            open_provider=lambda _: self.provider,
            open_remote=self._open_line,  # type: ignore[arg-type]
            owner="me-here",
            on_interrupt=lambda _: Interrupt.SHUT_DOWN,
            monthly_budget=lambda: self.cap_usd,
        )

    def _open_line(self, endpoint: Endpoint) -> Line:
        model = self.models[endpoint.root.name]  # type: ignore[union-attr]
        if not model.is_on or self.ends == "cloud":
            raise HostUnreachableError("no answer")
        return Line(model)


def _spec(name: int, kind: int) -> MachineSpec:
    return MachineSpec(f"lab-{name}", "memory", regions=("mem-1",), instance_types=(TYPES[kind],))


def _whole_minutes_usd(seconds: float, usd_per_hour: float) -> float:
    """Return what a time costs that was granted as a time: its last minute is begun, and paid whole."""
    return steps(seconds, MINUTE) * MINUTE * usd_per_hour / 3600
