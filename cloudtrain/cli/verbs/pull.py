"""pull: a run's files, before it is over; or any files of a machine."""

from pathlib import Path
from typing import Annotated

import typer

from ... import carrying, watching
from ...config.wording import shown_path
from ...model.errors import ConfigError
from .. import completion
from ..render import answer, document, json_line, note
from ..runs import run_meant
from ..session import open_session

EXAMPLES = """
cloudtrain pull
cloudtrain pull 7f3a --json
cloudtrain pull aws-p3 work/model.keras .
cloudtrain pull aws-p3 data data-of-p3
"""

Subject = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN | NAME",
        help="A run, or an unmistakable part of its id, the last one when left out; with SRC and DST a machine.",
        show_default=False,
        autocompletion=completion.run_ids,
    ),
]
Source = Annotated[
    str | None,
    typer.Argument(metavar="SRC", help="File or folder on the machine, from the login's home on.", show_default=False),
]
Destination = Annotated[
    Path | None,
    typer.Argument(metavar="DST", help="What it becomes here; a folder that is here gets it inside.", show_default=False),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Answer in JSON; of a machine's files one event per line, the result last.")
]


def pull(subject: Subject = None, source: Source = None, destination: Destination = None, as_json: AsJson = False) -> None:
    """Bring here what a run has made so far, or any files of a machine.

    With a RUN or nothing: its outputs, to the run's folder. The job is not disturbed. With NAME, SRC and DST: that file or
    folder of the machine. What is here already is moved aside, never overwritten.
    """
    if source is None:
        _pull_outputs(subject, as_json=as_json)
    elif subject is None or destination is None:
        raise ConfigError(f"Where is {source} to go?", f"cloudtrain pull {subject} {source} .")
    else:
        _pull_files(subject, source, destination, as_json=as_json)


def _pull_outputs(run: str | None, *, as_json: bool) -> None:
    with open_session() as session:
        found = run_meant(run, session.tools)
        names = watching.pull(found, session.tools)
    if as_json:
        document({"run": found.id, "folder": found.folder, "outputs": names})
        return
    for name in names:
        answer(shown_path(found.folder / name))
    if not names:
        note("Nothing came: the job has made no outputs yet.")


def _pull_files(name: str, source: str, destination: Path, *, as_json: bool) -> None:
    with open_session(as_json=as_json) as session:
        carried = carrying.pull(name, source, destination, session.tools)
    if as_json:
        json_line({"event": "pulled", "carried": carried})
    else:
        answer(shown_path(Path(carried.place)))
