"""sweep: what no live run needs is ended."""

from typing import Annotated

import typer

from ... import overview, sweeping
from ...model.errors import ShutdownError
from ...model.instance import InstanceRef, Leftover
from ..ask import must_agree
from ..options import Json
from ..render import document
from ..session import open_session
from ..show import show_unneeded

EXAMPLES = """
cloudtrain sweep --dry-run
cloudtrain sweep --yes
"""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be ended, and end nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def sweep(dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """End what no live run needs: machines and what they left.

    Every provider is asked what of yours exists, whatever this computer remembers: machines, and what is left of machines
    that are gone. Those of other people and of live runs stay. Asks first; where nobody can be asked, --yes must say so.
    """
    with open_session() as session:
        status = overview.status(session.tools)
        found = sweeping.unneeded(status)
        if not as_json:
            show_unneeded(status, found, session.tools.clock.now())
        wanted: list[InstanceRef | Leftover] = [*(machine.instance.ref for machine in found), *status.leftovers]
        if wanted and not dry_run and not yes:
            must_agree("End what is listed, disks included?", "cloudtrain sweep --yes")
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
