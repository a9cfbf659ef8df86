"""resize: another instance type for a machine, its disk kept."""

from typing import Annotated

import typer

from ... import machines
from ...model.instance import InstanceState
from ..ask import must_agree
from ..names import machine_meant
from ..options import Json
from ..render import answer, document
from ..session import open_session
from ..show import show_instance

EXAMPLES = """
cloudtrain resize aws-t3 g4dn.xlarge
"""

Name = Annotated[str, typer.Argument(metavar="NAME", help="Machine.", show_default=False)]
Type = Annotated[str, typer.Argument(metavar="TYPE", help="Instance type, as the cloud names it.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before a running machine is switched off.")]


def resize(name: Name, instance_type: Type, yes: Yes = False, as_json: Json = False) -> None:
    """Give a machine another instance type, its disk kept.

    A running machine is switched off first. It stays off: start it when you want to pay for it.
    """
    with open_session() as session:
        meant = machine_meant(name, session.tools.ledger)
        known = session.tools.ledger.machine(meant).instance
        if not yes and known is not None and known.state is InstanceState.RUNNING:
            must_agree(f"Switch {meant} off?", f"cloudtrain resize {meant} {instance_type} --yes")
        instance = machines.resize(meant, instance_type, session.tools)
        now = session.tools.clock.now()
    if as_json:
        document(instance)
        return
    show_instance(instance, now)
    answer(f"Start it: cloudtrain start {meant}")
