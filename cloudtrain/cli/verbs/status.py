"""status: what exists, and what bills."""

from dataclasses import replace

import typer

from ... import overview
from ...model.errors import ExitCode
from ...model.instance import InstanceState
from ...wiring import open_tools
from ..options import Json, RunFilter
from ..plain_lines import PlainLines
from ..render import document
from ..show import show_status

EXAMPLES = """
cloudtrain status
cloudtrain status --json
"""


def status(run: RunFilter = None, as_json: Json = False) -> None:
    """Show which machines exist and what became of the runs.

    Every provider is asked, whatever this computer remembers; one that does not answer is named, never assumed empty. With
    RUN, only that run is listed. The exit code is 70 when the state of a machine that this computer knows of could not be
    learned.
    """
    with open_tools(PlainLines().tell) as tools:
        found = overview.status(tools)
        if run is not None:
            found = replace(found, runs=(tools.ledger.run(run),))
        now = tools.clock.now()
    if as_json:
        document(found)
    else:
        show_status(found, now)
    if any(machine.instance.state is InstanceState.UNKNOWN for machine in found.machines):
        raise typer.Exit(int(ExitCode.MAY_STILL_BILL))
