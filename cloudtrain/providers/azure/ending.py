"""Ending a machine and all that was made beside it: its group goes, with everything in it."""

from collections.abc import Set

from ...model.errors import ProviderError
from ...model.instance import InstanceRef
from . import checkpoints, tags
from .account import Account
from .describe import is_ending
from .machines import group_of
from .names import Places
from .noted_endings import forget_ending, note_ending, noted_endings
from .translate import code_of, is_absent
from .versions import RESOURCES

_AT_ONCE = {"forceDeletionTypes": "Microsoft.Compute/virtualMachines"}
"""A machine that is to go is not asked to shut down first."""


def terminate(ref: InstanceRef, account: Account) -> None:
    """End a machine, its disk, address and network with it. See `Provider.terminate`: its keys go when it is gone."""
    group = group_of(ref.id, account)
    if group is None:
        _forget(ref.id, account)
        return
    places = account.places(ref.id)
    if not is_ending(group):
        note_ending(ref.id, account)
        delete_group(places, account)
    checkpoints.take_back(tags.read(group), places, account)


def finish_endings(there: Set[str], account: Account) -> set[str]:
    """Remove the keys of machines that were ended from here and whose groups are no longer there; return these."""
    ended = noted_endings(account) - there
    for name in ended:
        _forget(name, account)
    return ended


def _forget(name: str, account: Account) -> None:
    account.keys.forget(name)
    forget_ending(name, account)


def delete_group(places: Places, account: Account) -> None:
    """Ask Azure to delete a group and all in it. An absent one, or one that is going, is a success. Does not wait.

    Raises:
        ProviderError: Azure refused.
    """
    try:
        act = "Microsoft.Resources/subscriptions/resourceGroups/delete"
        account.arm.call(act, "DELETE", places.group, api=RESOURCES, query=_AT_ONCE)
    except ProviderError as error:
        if not is_absent(error) and code_of(error) != "ResourceGroupBeingDeleted":
            raise
