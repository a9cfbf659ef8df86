"""logs: what a run's job printed."""

from typing import Annotated

import typer

from ... import watching
from ...model.event import Event, LogChunk
from ...wiring import open_tools
from ..listener import listening
from ..log import Log
from ..options import RunId
from ..runs import run_meant

EXAMPLES = """
cloudtrain logs
cloudtrain logs -f 7f3a
cloudtrain logs | grep loss
cloudtrain logs --json | jq -r .text
"""

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")]


AsJson = Annotated[bool, typer.Option("--json", help="The log as JSON events, one on a line.")]


def logs(run: RunId = None, follow: Follow = False, as_json: AsJson = False) -> None:
    """Print a run's log.

    Byte for byte as the job printed it, a UTC time stamp before each line; on a terminal the stamps are shortened to local
    time. Can be used from any terminal while another one looks after the run.
    """
    if as_json:
        with listening(as_json=True) as listener, open_tools(listener.tell) as tools:
            watching.show_log(run_meant(run, tools), tools, follow=follow)
        return
    log = Log()

    def tell(event: Event) -> None:
        if isinstance(event, LogChunk):
            log.write(event.content)

    with open_tools(tell) as tools:
        watching.show_log(run_meant(run, tools), tools, follow=follow)
    log.finish()
