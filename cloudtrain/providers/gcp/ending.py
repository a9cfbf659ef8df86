"""Ending a machine and all that was made beside it."""

from ...model.errors import InstanceNotFoundError
from ...model.instance import InstanceRef, InstanceState
from ..acts import all_of
from .account import Account
from .firewall import remove_rules
from .machines import find
from .network import owner_of
from .operations import asked


def terminate(ref: InstanceRef, account: Account) -> None:
    """End a machine, its disk with it. See `Provider.terminate`: rules and keys go when the machine is gone.

    Its rules shut it to the world for as long as it can be reached.
    """
    try:
        found = find(ref, account)
    except InstanceNotFoundError:
        remove_beside(ref.id, account)
        return
    if found.state is not InstanceState.TERMINATING:
        asked(account, "compute.instances.delete", "DELETE", found.path(account))


def remove_beside(name: str, account: Account) -> None:
    """Remove what was made beside a machine that is gone: its firewall rules, and its keys here.

    Raises:
        ProviderError: Google refused.
    """

    def remove_all_rules() -> None:
        remove_rules(name, account, owner_of(account.machine))

    # The keys first: without its rules nothing would tell a later look that they are left.
    all_of(lambda: account.keys.forget(name), remove_all_rules)
