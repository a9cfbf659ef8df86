"""terminate: a machine and its disk, gone."""

from typing import Annotated

import typer

from ... import machines
from ..ask import must_agree
from ..names import machine_meant
from ..options import Json, Machine
from ..render import document
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
            must_agree(f"End {meant} and its disk?", f"cloudtrain terminate {meant} --yes")
        instance = machines.terminate(meant, session.tools)
    if as_json:
        document(instance)
