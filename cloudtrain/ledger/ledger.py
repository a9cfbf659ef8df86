"""The ledger: what we meant to start, what we started, and how far each run has come.

It holds intent and memory; the clouds' tags are the truth. Everything is one SQLite file that several processes may use
at once; a process may use one `Ledger` from one thread. Every change is one transaction: a killed process leaves the
state before or after it, never between.
"""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..model.clock import Clock
from ..model.errors import LedgerError, NotFoundError
from ..model.instance import Instance, InstanceRef, LaunchOrder
from ..model.run import Run, RunPhase
from ..model.spec import JobSpec, MachineSpec
from .file import LedgerFile, text
from .holder import is_alive, is_here
from .machine import MachineRecord, is_news
from .operations import Operations
from .past import Past
from .spend import Spend

FOREIGN_CLAIM_S = 3600.0
"""How long a claim from another host name holds, in seconds: whether its process lives cannot be seen from here."""


class Ledger:
    """One open ledger. Every method may raise `LedgerError` when the file cannot be used.

    Attributes:
        spend: what bills, from when to when.
        past: what earlier runs tell about the next one.
        operations: what the clouds are doing for orders that nobody has settled.
        on_machine: told whenever a name comes to stand for an instance, or for none; must not raise.
    """

    def __init__(self, file: LedgerFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self.spend = Spend(file)
        self.past = Past(file, clock)
        self.operations = Operations(file)
        self.on_machine: Callable[[str, Instance | None], None] = lambda _name, _instance: None

    @classmethod
    def open(cls, home: Path, clock: Clock) -> "Ledger":
        """Open the ledger below the folder `home`; both are made when absent.

        Raises:
            LedgerError: the file is damaged, newer, no ledger, or cannot be written; says what to type.
        """
        return cls(LedgerFile(home), clock)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def intend(self, order: LaunchOrder) -> None:
        """Write down an order before the cloud is asked.

        Raises:
            LedgerError: this token was written down before.
        """
        with self._file.change() as db:
            if db.execute("SELECT 1 FROM intents WHERE token = ?", (order.token,)).fetchone():
                raise LedgerError(f"The order {order.token} was written down before; an order is made once.")
            db.execute(
                "INSERT INTO intents (token, launch_order, intended_at) VALUES (?, ?, ?)",
                (order.token, text(order), self._now()),
            )

    def settle(self, token: str, ref: InstanceRef | None) -> None:
        """Record what became of an order; None means that we looked and nothing was made.

        A machine once recorded is not forgotten by a later None; what was under way for the order is.

        Raises:
            LedgerError: no such order was written down.
        """
        with self._file.change() as db:
            changed = db.execute(
                "UPDATE intents SET settled_at = ?, ref = coalesce(?, ref), operation = NULL WHERE token = ?",
                (self._now(), None if ref is None else text(ref), token),
            )
            if not changed.rowcount:
                raise LedgerError(f"The order {token} was never written down.")

    def open_intents(self) -> list[LaunchOrder]:
        """Return the orders nobody has settled, oldest first: each may have made a machine."""
        rows = self._file.read("SELECT launch_order FROM intents WHERE settled_at IS NULL ORDER BY rowid")
        return [self._file.value(LaunchOrder, row[0]) for row in rows]

    def save_machine(self, spec: MachineSpec, instance: Instance | None) -> None:
        """Remember a machine by its spec's name, with exactly this instance, as the one last used."""
        seen_at = None if instance is None else self._now()
        with self._file.change() as db:
            db.execute(
                "INSERT OR REPLACE INTO machines (name, turn, spec, instance, seen_at, used_at)"
                " VALUES (?, (SELECT coalesce(max(turn), 0) + 1 FROM machines), ?, ?, ?, ?)",
                (spec.name, text(spec), None if instance is None else text(instance), seen_at, self._now()),
            )
        self.on_machine(spec.name, instance)

    def see(self, instance: Instance) -> None:
        """Update what is remembered of the machine this instance belongs to, its spec untouched.

        Ignored when the name is unknown and when it is no news (`machine.is_news`): `save_machine` alone puts another
        instance in the place of one that may live.
        """
        with self._file.change() as db:
            row = db.execute("SELECT instance FROM machines WHERE name = ?", (instance.name,)).fetchone()
            if row is None:
                return
            if not is_news(None if row[0] is None else self._file.value(Instance, row[0]), instance):
                return
            db.execute(
                "UPDATE machines SET instance = ?, seen_at = ? WHERE name = ?",
                (text(instance), self._now(), instance.name),
            )

    def machine(self, name: str) -> MachineRecord:
        """Return what is remembered of a machine.

        Raises:
            NotFoundError: there is none of that name.
        """
        rows = self._file.read(f"{_MACHINES} WHERE name = ?", name)
        if not rows:
            raise self._unknown_machine(name)
        return self._machine(rows[0])

    def machines(self) -> list[MachineRecord]:
        """Return all machines, the last used first."""
        return [self._machine(row) for row in self._file.read(f"{_MACHINES} ORDER BY turn DESC")]

    def last_machine(self) -> MachineRecord | None:
        """Return the only or the last used machine, or None when there is none."""
        rows = self._file.read(f"{_MACHINES} ORDER BY turn DESC LIMIT 1")
        return self._machine(rows[0]) if rows else None

    def use(self, name: str) -> None:
        """Make a machine the last used one.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._file.change() as db:
            changed = db.execute(
                "UPDATE machines SET used_at = ?, turn = (SELECT max(turn) + 1 FROM machines) WHERE name = ?",
                (self._now(), name),
            )
            if not changed.rowcount:
                raise self._unknown_machine(name)

    def add_run(self, run: Run, job: JobSpec) -> None:
        """Write down a new run and the job it is for.

        Raises:
            LedgerError: a run of that id exists.
        """
        with self._file.change() as db:
            if db.execute("SELECT 1 FROM runs WHERE id = ?", (run.id,)).fetchone():
                raise LedgerError(f"There is a run {run.id} already.", f"See it: cloudtrain status {run.id}")
            db.execute(
                "INSERT INTO runs (id, phase, run, job) VALUES (?, ?, ?, ?)", (run.id, run.phase.value, text(run), text(job))
            )

    def advance(self, before: Run, after: Run) -> Run:
        """Store the new value of a run and return it, if its phase may follow and nobody else moved the run meanwhile.

        Raises:
            LedgerError: the step is not in the table of phases, or the stored phase is not `before.phase` any more.
            NotFoundError: there is no such run.
        """
        with self._file.change() as db:
            row = db.execute("SELECT phase FROM runs WHERE id = ?", (before.id,)).fetchone()
            if row is None or after.id != before.id:
                raise _unknown_run(before.id if row is None else after.id)
            if row[0] != before.phase.value:
                raise LedgerError(
                    f"Run {before.id} is {row[0]} and not {before.phase.value} any more: another cloudtrain moved it.",
                    f"See where it is: cloudtrain status {before.id}",
                )
            if not before.phase.may_become(after.phase):
                raise LedgerError(f"Run {before.id} is {before.phase.value} and cannot become {after.phase.value}.")
            db.execute("UPDATE runs SET phase = ?, run = ? WHERE id = ?", (after.phase.value, text(after), after.id))
        return after

    def run(self, id_or_part: str) -> Run:
        """Return the run of that id, or the only one whose id begins or ends like that.

        Raises:
            NotFoundError: there is none, or several; names them.
        """
        found = self._file.read("SELECT run FROM runs WHERE id = ?", id_or_part) or self._file.read(
            "SELECT run FROM runs WHERE length(?1) > 0"
            " AND (substr(id, 1, length(?1)) = ?1 OR substr(id, -length(?1)) = ?1) ORDER BY number DESC",
            id_or_part,
        )
        if not found:
            raise _unknown_run(id_or_part)
        runs = [self._file.value(Run, row[0]) for row in found]
        if len(runs) > 1:
            listed = ", ".join(run.id for run in runs[:5]) + (f" and {len(runs) - 5} more" if len(runs) > 5 else "")
            raise NotFoundError(
                f"{id_or_part} may mean {len(runs)} runs: {listed}.", f"Name one of them: cloudtrain status {runs[0].id}"
            )
        return runs[0]

    def runs(self, limit: int = 50) -> list[Run]:
        """Return the runs, newest first, at most `limit`."""
        rows = self._file.read("SELECT run FROM runs ORDER BY number DESC LIMIT ?", limit)
        return [self._file.value(Run, row[0]) for row in rows]

    def open_runs(self) -> list[Run]:
        """Return every run that is not over, newest first, however old."""
        rows = self._file.read("SELECT phase, run FROM runs ORDER BY number DESC")
        over = {phase.value for phase in RunPhase if phase.is_over}
        return [self._file.value(Run, run) for phase, run in rows if phase not in over]

    def last_run(self) -> Run | None:
        """Return the newest run, or None when there is none."""
        return next(iter(self.runs(limit=1)), None)

    def job_of(self, run_id: str) -> JobSpec:
        """Return the job a run is for.

        Raises:
            NotFoundError: there is no run of that id.
        """
        rows = self._file.read("SELECT job FROM runs WHERE id = ?", run_id)
        if not rows:
            raise _unknown_run(run_id)
        return self._file.value(JobSpec, rows[0][0])

    def claim(self, run_id: str, holder: str) -> bool:
        """Make `holder` (from `holder.this_process`) the one that collects and shuts down a run; False when another is.

        A holder may claim again, which renews. One whose process is dead on this host has lost its claim; one from
        another host name (a laptop may change its own) loses it an hour after it last claimed.

        Raises:
            NotFoundError: there is no run of that id.
        """
        with self._file.change() as db:
            if not db.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone():
                raise _unknown_run(run_id)
            row = db.execute("SELECT holder, claimed_at FROM claims WHERE run_id = ?", (run_id,)).fetchone()
            if row is not None and row[0] != holder and self._still_holds(row[0], row[1]):
                return False
            db.execute(
                "INSERT OR REPLACE INTO claims (run_id, holder, claimed_at) VALUES (?, ?, ?)", (run_id, holder, self._now())
            )
        return True

    def release(self, run_id: str, holder: str) -> None:
        """Give up a claim; nothing happens when `holder` does not have it."""
        with self._file.change() as db:
            db.execute("DELETE FROM claims WHERE run_id = ? AND holder = ?", (run_id, holder))

    def _still_holds(self, holder: str, claimed_at: str) -> bool:
        if is_here(holder):
            return is_alive(holder)
        return (self._clock.now() - self._file.moment(claimed_at)).total_seconds() < FOREIGN_CLAIM_S

    def _machine(self, row: tuple[Any, ...]) -> MachineRecord:
        spec, instance, seen_at, used_at = row
        return MachineRecord(
            self._file.value(MachineSpec, spec),
            None if instance is None else self._file.value(Instance, instance),
            None if seen_at is None else self._file.moment(seen_at),
            self._file.moment(used_at),
        )

    def _unknown_machine(self, name: str) -> NotFoundError:
        import difflib  # here, because only a mistyped name needs it

        names = [row[0] for row in self._file.read("SELECT name FROM machines ORDER BY turn DESC")]
        near = difflib.get_close_matches(name, names, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        hint = f"Rent it: cloudtrain start {name} (there are: cloudtrain configs)"
        return NotFoundError(f"There is no machine named {name}.{meant}", hint)

    def _now(self) -> str:
        return self._clock.now().isoformat()


_MACHINES = "SELECT spec, instance, seen_at, used_at FROM machines"


def _unknown_run(run_id: str) -> NotFoundError:
    return NotFoundError(f"There is no run {run_id}.", "List the runs: cloudtrain status")
