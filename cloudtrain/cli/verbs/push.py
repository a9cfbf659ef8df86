"""push: files to a machine."""

from pathlib import Path
from typing import Annotated

import typer

from ... import carrying
from ...model.words import files
from .. import completion
from ..options import JsonLines
from ..render import json_line, note
from ..session import open_session
from ..words import size

EXAMPLES = """
cloudtrain push aws-p3 data data
cloudtrain push aws-p3 train.py work
cloudtrain push aws-p3 . work --delete
"""

Name = Annotated[str, typer.Argument(metavar="NAME", help="Machine that exists.", autocompletion=completion.known_machines)]
Source = Annotated[Path, typer.Argument(metavar="SRC", help="File or folder here.")]
Destination = Annotated[
    str, typer.Argument(metavar="DST", help="Folder on the machine, from the login's home on; made when it is not there.")
]
Delete = Annotated[bool, typer.Option("--delete", help="Remove from DST what SRC does not have; shows it and asks first.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def push(
    name: Name, source: Source, destination: Destination, delete: Delete = False, yes: Yes = False, as_json: JsonLines = False
) -> None:
    """Bring a file or a folder to a machine.

    What is in the folder SRC, or the file SRC, goes into the folder DST. Only what differs travels. .gitignore and
    .cloudtrainignore count as in train. How much it is, is said first; more than 10 GB asks, or wants --yes without a terminal.
    Nothing is removed there but with --delete, and then nothing that an ignore file here leaves out.
    """
    with open_session(as_json=as_json) as session:
        carried = carrying.push(name, source, destination, session.tools, delete=delete, sure=yes)
    if as_json:
        json_line({"event": "pushed", "carried": carried})
    else:
        note(f"{files(carried.files)}, {size(carried.bytes)}: in {carried.place} on {name}.")
