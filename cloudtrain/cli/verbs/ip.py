"""ip: a machine's address, from memory."""

import typer

from ...model.errors import ExitCode
from ...model.instance import Instance, InstanceState
from ..names import machine_known, open_ledger
from ..options import Json, Machine
from ..render import answer, document, note

EXAMPLES = """
cloudtrain ip aws-p2
scp model.keras ubuntu@$(cloudtrain ip aws-p2):
"""


def ip(name: Machine = None, as_json: Json = False) -> None:
    """Print a machine's address.

    Nothing but the address goes to standard output. The address is the one last seen; no network is used. When the machine
    did not run when it was last seen, that is said on standard error and the exit code is 2.
    """
    with open_ledger() as ledger:
        record = machine_known(name, ledger)
    instance = record.instance
    if instance is None or instance.state is not InstanceState.RUNNING or not instance.address:
        note(f"{record.spec.name} {_how_it_is(instance)}.")
        note(f"  Start it: cloudtrain start {record.spec.name}")
        raise typer.Exit(int(ExitCode.BAD_INPUT))
    if as_json:
        document({"name": record.spec.name, "address": instance.address, "seen_at": record.seen_at})
    else:
        answer(instance.address)


def _how_it_is(instance: Instance | None) -> str:
    if instance is None:
        return "has no machine that this computer knows of"
    return "runs without an address" if instance.state is InstanceState.RUNNING else f"is {instance.state.value}"
