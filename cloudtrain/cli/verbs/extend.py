"""extend: a machine's deadline, moved."""

from typing import Annotated

import typer

from ... import leasing
from ...config.duration import parse_duration
from ...model.errors import ConfigError
from ..names import machine_meant
from ..options import Json, Machine, refuse_no_money
from ..render import answer, document
from ..session import open_session
from ..words import dollars, moment, until

EXAMPLES = """
cloudtrain extend aws-p2 --for 2h
cloudtrain extend aws-p2 --budget 5
"""

More = Annotated[
    float | None,
    typer.Option("--budget", metavar="USD", help="By what so many more US dollars buy.", show_default=False),
]
Longer = Annotated[str | None, typer.Option("--for", metavar="TIME", help="By a time: 2h, 90m.", show_default=False)]


def extend(name: Machine = None, budget: More = None, time: Longer = None, as_json: Json = False) -> None:
    """Move a machine's deadline.

    In the cloud and on the machine; the only way that a deadline moves. Says what the machine costs at most until then.
    """
    if (budget is None) == (time is None):
        raise ConfigError("Say how much longer, in dollars or in time", "cloudtrain extend --for 2h")
    refuse_no_money(budget, "cloudtrain extend --budget 5")
    seconds = None if time is None else parse_duration(time)
    with open_session() as session:
        meant = machine_meant(name, session.tools.ledger)
        extended = leasing.extend(meant, session.tools, usd=budget, seconds=seconds)
        now = session.tools.clock.now()
    if as_json:
        document(extended)
        return
    answer(f"{extended.instance.name} ends by {until(extended.instance.deadline, now)}, and not by {moment(extended.before)}.")
    answer(f"From its launch until then it costs at most {dollars(extended.most_usd)}.")
