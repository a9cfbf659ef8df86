"""What a person means who names no machine: the last one used. It is said which that was."""

from ..clock import SystemClock
from ..config.folders import state_folder
from ..ledger.ledger import Ledger
from ..ledger.machine import MachineRecord
from ..model.errors import NotFoundError
from .render import note


def open_ledger() -> Ledger:
    """Open the ledger alone, for a verb that needs no other tool."""
    return Ledger.open(state_folder(), SystemClock())


def machine_meant(name: str | None, ledger: Ledger) -> str:
    """Return the name of the machine that is meant.

    Raises:
        NotFoundError: no machine was used yet.
    """
    return name if name is not None else _last_machine(ledger).spec.name


def machine_known(name: str | None, ledger: Ledger) -> MachineRecord:
    """Return what the ledger remembers of the machine that is meant.

    Raises:
        NotFoundError: there is none of that name, or none was used yet.
    """
    return ledger.machine(name) if name is not None else _last_machine(ledger)


def _last_machine(ledger: Ledger) -> MachineRecord:
    last = ledger.last_machine()
    if last is None:
        raise NotFoundError("No machine was used yet.", "Name one: cloudtrain configs")
    note(f"{last.spec.name} (the last one used)")
    return last
