"""start: a machine without a job."""

from typing import Annotated

import typer

from ... import machines
from ...config.duration import parse_duration
from ...config.machine import load_machine
from ...model.spec import DEFAULT_MAX_LIFETIME_S, Budget
from ..names import machine_meant
from ..options import Config, Dollars, JsonLines, Lifetime
from ..render import json_line
from ..session import open_session
from ..show import show_instance

EXAMPLES = """
cloudtrain start aws-p2 --budget 5
cloudtrain start aws-p2 --max-lifetime 2h --no-wait
"""

NoWait = Annotated[bool, typer.Option("--no-wait", help="Return before the machine can be spoken to.")]


def start(
    name: Config = None,
    budget: Dollars = None,
    max_lifetime: Lifetime = None,
    no_wait: NoWait = False,
    as_json: JsonLines = False,
) -> None:
    """Rent a machine, or switch it on again, without a job.

    It ends by itself when the budget is spent or its longest lifetime is over, whichever comes first.
    """
    lifetime_s = DEFAULT_MAX_LIFETIME_S if max_lifetime is None else parse_duration(max_lifetime)
    with open_session(as_json=as_json) as session:
        machine = load_machine(machine_meant(name, session.tools.ledger))
        instance = machines.start(machine, session.tools, budget=Budget(budget, lifetime_s), wait=not no_wait)
        now = session.tools.clock.now()
    if as_json:
        json_line({"event": "machine", "instance": instance})
    else:
        show_instance(instance, now)
