"""forward: a port of a machine, here."""

from typing import Annotated

import typer

from ... import carrying
from ...model.errors import ConfigError
from ...wiring import open_tools
from .. import completion
from ..listener import listening

EXAMPLES = """
cloudtrain forward aws-p3 8888
cloudtrain forward aws-p3 6007:6006
"""

Name = Annotated[str, typer.Argument(metavar="NAME", help="Machine that runs.", autocompletion=completion.known_machines)]
Ports = Annotated[
    str, typer.Argument(metavar="PORT | HERE:THERE", help="Port of the machine, under the same number here or another.")
]


def forward(name: Name, ports: Ports) -> None:
    """Reach a port of a machine here, until Ctrl-C.

    Only programs on this computer can use it: it listens at 127.0.0.1. On the machine it leads to 127.0.0.1 as well, where
    notebooks and TensorBoard listen.
    """
    here, _, there = ports.partition(":")
    with listening(as_json=False) as listener, open_tools(listener.tell) as tools:
        try:
            carrying.forward(name, _port(here), _port(there or here), tools)
        except KeyboardInterrupt:
            raise typer.Exit from None


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"{text!r} is no port", "Say it like this: cloudtrain forward NAME 8888, or 6007:6006")
    return int(text)
