"""terminate: a machine and its disk, gone."""

from typing import Annotated

import typer

from ... import machines
from ...model.errors import ConfigError, ExitCode
from ..ask import agree, may_ask
from ..names import machine_meant
from ..options import Json, Machine
from ..render import document, note
from ..session import open_session

EXAMPLES = """
cloudtrain terminate aws-p2
cloudtrain terminate aws-p2 --yes
"""


Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def terminate(name: Machine = None, yes: Yes = False, as_json: Json = False) -> None:
    """End a machine, disk included.

    Asks first. Where nobody can be asked, --yes must say so. Returns when the cloud says that the machine is gone.
    """
    with open_session() as session:
        meant = machine_meant(name, session.tools.ledger)
        if not yes:
            ask_first(meant)
        instance = machines.terminate(meant, session.tools)
    if as_json:
        document(instance)


def ask_first(name: str) -> None:
    """Leave unless a person agrees.

    Raises:
        ConfigError: there is nobody to ask.
    """
    if not may_ask():
        raise ConfigError(
            f"Ending {name} also ends its disk, and there is no terminal to ask at", f"cloudtrain terminate {name} --yes"
        )
    if not agree(f"End {name} and its disk?"):
        note(f"{name} is left as it is.")
        raise typer.Exit(int(ExitCode.INTERRUPTED))
