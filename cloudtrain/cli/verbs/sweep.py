"""sweep: what no live run needs is ended."""

from dataclasses import replace
from typing import Annotated

import typer

from ... import overview, sweeping
from ...model.errors import ConfigError, ExitCode, ShutdownError
from ...model.instance import InstanceRef, Leftover
from ..ask import agree, may_ask
from ..options import Json
from ..render import document, note
from ..session import open_session
from ..show import show_status

EXAMPLES = """
cloudtrain sweep --dry-run
cloudtrain sweep --yes
"""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be ended, and end nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def sweep(dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """End the machines that no live run needs.

    Every provider is asked what of yours exists, whatever this computer remembers: machines, and what is left of machines
    that are gone. Those of other people and of live runs stay. Asks first; where nobody can be asked, --yes must say so.
    """
    with open_session() as session:
        status = overview.status(session.tools)
        found = sweeping.unneeded(status)
        if not as_json:
            show_status(replace(status, machines=tuple(found), runs=()), session.tools.clock.now())
        wanted: list[InstanceRef | Leftover] = [*(machine.instance.ref for machine in found), *status.leftovers]
        if wanted and not dry_run and not yes:
            ask_first(len(wanted))
        swept = sweeping.sweep([] if dry_run else wanted, session.tools)
    if as_json:
        document(
            {
                "found": found,
                "leftovers": status.leftovers,
                "ended": swept.ended,
                "removed": swept.removed,
                "silent": status.silent,
            }
        )
    if status.silent:
        raise ShutdownError("Not every provider answered; something may still bill there", "Try again: cloudtrain sweep")


def ask_first(count: int) -> None:
    """Leave unless a person agrees.

    Raises:
        ConfigError: there is nobody to ask.
    """
    if not may_ask():
        raise ConfigError("A sweep ends machines and their disks, and there is no terminal to ask at", "cloudtrain sweep --yes")
    if not agree(f"End {'it' if count == 1 else f'these {count}'}, disks included?"):
        note("Nothing was ended.")
        raise typer.Exit(int(ExitCode.INTERRUPTED))
