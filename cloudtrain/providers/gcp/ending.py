"""Ending a machine and all that was made beside it."""

from collections.abc import Sequence

from ...model.errors import InstanceNotFoundError, ProviderError
from ...model.instance import InstanceRef, InstanceState
from ..acts import all_of
from . import notes, service_account
from .account import Account
from .firewall import Rule, remove_these, rules_of
from .machines import find
from .network import owner_of
from .operations import asked
from .translate import is_absent


def terminate(ref: InstanceRef, account: Account) -> None:
    """End a machine, its disk with it. See `Provider.terminate`: rules and keys go when the machine is gone.

    Its rules shut it to the world for as long as it can be reached.
    """
    try:
        found = find(ref, account)
    except InstanceNotFoundError:
        remove_beside(ref.id, account)
        return
    if found.state is InstanceState.TERMINATING:
        return
    try:
        asked(account, "compute.instances.delete", "DELETE", found.path(account))
    except ProviderError as error:
        if not is_absent(error) or _is_there(ref, account):
            raise
        remove_beside(ref.id, account)  # gone since it was looked at


def _is_there(ref: InstanceRef, account: Account) -> bool:
    """Look again: without its rules a machine that is there after all could be reached by everybody."""
    try:
        find(ref, account)
    except InstanceNotFoundError:
        return False
    return True


def remove_beside(name: str, account: Account) -> None:
    """Remove what was made beside a machine that is gone: its firewall rules, its service account, and its keys here.

    Raises:
        ProviderError: Google refused.
    """

    def remove_there() -> None:
        project = owner_of(account.machine)
        rules = rules_of(name, account, project)
        if has_account(rules):
            service_account.remove(service_account.id_of(name), account)
        remove_these(rules, account, project)

    # The keys first: without its rules nothing would tell a later look that they are left; nor of an account.
    all_of(lambda: account.keys.forget(name), remove_there)


def has_account(rules: Sequence[Rule]) -> bool:
    """Say whether rules are those of a machine that has a service account of its own: they say so."""
    return any(notes.ACCOUNT in notes.read(rule.get("description", "")) for rule in rules)
