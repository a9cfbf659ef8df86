"""stop: a machine off, its disk kept."""

from ... import machines
from ..names import machine_meant
from ..options import Json, Machine
from ..render import document
from ..session import open_session

EXAMPLES = """
cloudtrain stop aws-p2
"""


def stop(name: Machine = None, as_json: Json = False) -> None:
    """Switch a machine off and keep its disk.

    Returns when the cloud says that compute is no longer billed. What the disk costs meanwhile is said.
    """
    with open_session() as session:
        instance = machines.stop(machine_meant(name, session.tools.ledger), session.tools)
    if as_json:
        document(instance)
