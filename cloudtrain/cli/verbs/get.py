"""get: a machine by its name."""

from ... import machines
from ...config.machine import load_machine
from ...wiring import open_tools
from ..names import machine_meant
from ..options import Config, Json
from ..plain_lines import PlainLines
from ..render import answer, document
from ..show import show_instance, show_outlook, show_plan

EXAMPLES = """
cloudtrain get aws-p2
cloudtrain get aws-p2 --json
"""


def get(name: Config = None, as_json: Json = False) -> None:
    """Find a machine by name, or see what would be rented.

    Spends nothing. The name is remembered: ip, ssh, stop and terminate without a name mean this machine from now on.
    """
    with open_tools(PlainLines().tell) as tools:
        view = machines.get(load_machine(machine_meant(name, tools.ledger)), tools)
        now = tools.clock.now()
    if as_json:
        document(view)
    elif view.instance is not None:
        show_instance(view.instance, now)
    elif view.plan is not None:
        answer(f"There is no machine {view.machine.name} now. Starting it would rent the first of these that can be had:")
        show_plan(view.plan, now)
        show_outlook(view.outlook)
