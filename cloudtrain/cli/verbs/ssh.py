"""ssh: a shell on a machine."""

import typer

from ... import machines
from ...wiring import open_tools
from ..names import machine_meant
from ..options import Machine
from ..verb import command_of

TAKES_COMMAND = True
EXAMPLES = """
cloudtrain ssh aws-p2
cloudtrain ssh aws-p2 -- nvidia-smi
"""


def ssh(context: typer.Context, name: Machine = None) -> None:
    """Open a shell on a machine, or run a command there.

    The exit code is the command's.
    """
    with open_tools() as tools:
        code = machines.open_shell(machine_meant(name, tools.ledger), command_of(context), tools)
    raise typer.Exit(code)
