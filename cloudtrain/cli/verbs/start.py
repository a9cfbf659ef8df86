"""start: a machine without a job."""

from dataclasses import replace
from typing import Annotated

import typer

from ... import machines
from ...config.duration import parse_duration
from ...config.machine import load_machine
from ...model.spec import DEFAULT_MAX_LIFETIME_S, Budget, OnFinish
from ..names import machine_meant
from ..options import Attended, Config, CreateNetwork, Dollars, JsonLines, Lifetime, MarketOption, refuse_no_money
from ..render import json_line
from ..session import open_session
from ..show import show_instance

EXAMPLES = """
cloudtrain start aws-p2 --budget 5
cloudtrain start aws-p2 --max-lifetime 2h --no-wait
cloudtrain start aws-t3 --on-finish stop
cloudtrain start aws-g5 --market spot
"""

NoWait = Annotated[
    bool,
    typer.Option("--no-wait", help="Return when the cloud has accepted and the deadline is armed; the machine may still boot."),
]
AtDeadline = Annotated[
    OnFinish, typer.Option("--on-finish", help="What the deadline does to a new machine: terminate, or stop and keep its disk.")
]


def start(
    name: Config = None,
    budget: Dollars = None,
    max_lifetime: Lifetime = None,
    market: MarketOption = None,
    on_finish: AtDeadline = OnFinish.TERMINATE,
    create_network: CreateNetwork = False,
    attended: Attended = False,
    no_wait: NoWait = False,
    as_json: JsonLines = False,
) -> None:
    """Rent a machine, or switch it on again, without a job.

    It ends by itself when the budget is spent or its longest lifetime is over, whichever comes first.
    """
    refuse_no_money(budget, "cloudtrain start --budget 5")
    lifetime_s = DEFAULT_MAX_LIFETIME_S if max_lifetime is None else parse_duration(max_lifetime)
    with open_session(as_json=as_json) as session:
        named = load_machine(machine_meant(name, session.tools.ledger))
        machine = replace(named, create_network=create_network, attended=attended, market=market or named.market)
        instance = machines.start(
            machine, session.tools, budget=Budget(budget, lifetime_s), on_finish=on_finish, wait=not no_wait
        )
        now = session.tools.clock.now()
    if as_json:
        json_line({"event": "machine", "instance": instance})
    else:
        show_instance(instance, now)
