"""ssh-config: machines by name for a person's own ssh, rsync and editor."""

from pathlib import Path
from typing import Annotated

import typer

from ...config.folders import state_folder
from ...config.wording import shown_path
from ...remote.ssh_config import SshConfig
from ...wiring import SSH_FOLDER
from ..options import Json
from ..render import answer, document, note

EXAMPLES = """
cloudtrain ssh-config --install
cloudtrain ssh-config && ssh aws-p3
"""

Install = Annotated[bool, typer.Option("--install", help="Write one Include line at the head of ~/.ssh/config.")]


def ssh_config(install: Install = False, as_json: Json = False) -> None:
    """Show what lets your own ssh, rsync and editor reach the machines.

    Each machine that runs has a file in cloudtrain's own folder, with its address, key and host key, as long as it runs.
    --install includes them in ~/.ssh/config, with one line, once; all else in that file stays as it is. After that `ssh NAME`,
    rsync and VS Code's Remote-SSH know the machines by name. Delete the line to undo it.
    """
    files = SshConfig(state_folder() / SSH_FOLDER)
    config = Path.home() / ".ssh" / "config"
    if install:
        changed = files.install(config)
        note(f"{config} {'now includes' if changed else 'included already'} the machines that run.")
    blocks = {name: files.show(name) for name in files.names()}
    if as_json:
        document({"include": files.include, "is_installed": files.is_included(config), "machines": blocks})
        return
    for block in blocks.values():
        answer(block.rstrip("\n"))
    if not blocks:
        note("No machine runs that ssh could reach.")
    if not files.is_included(config):
        note(f"{shown_path(config)} does not include them yet: cloudtrain ssh-config --install")
