"""Ending a machine and all that was made beside it."""

from ...model.errors import InstanceNotFoundError
from ...model.instance import InstanceRef, InstanceState
from ..acts import all_of
from . import leasing, profile, spot, tags
from .account import Account
from .groups import groups_of, remove_group
from .machines import Found, find
from .translate import calling


def terminate(ref: InstanceRef, account: Account) -> None:
    """End a machine, its disk with it. See `Provider.terminate`: its group goes when the machine is gone."""
    try:
        found = find(ref, account)
    except InstanceNotFoundError:
        return
    if found.state not in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        with calling(found.region):
            account.clients.ec2(found.region).terminate_instances(InstanceIds=[found.id])
    all_of(
        lambda: spot.cancel_request(found, account),
        lambda: leasing.disarm_schedule(found, account),
        lambda: _forget_keys(found, account),
        lambda: _remove_groups(found, account),
        lambda: _remove_role(found, account),
    )


def _remove_role(found: Found, account: Account) -> None:
    """Remove the role of a machine that is gone; one that is ending may still be copying its last results."""
    role = tags.read(found.machine).get(profile.TAG, "")
    if found.state is InstanceState.TERMINATED and profile.is_ours(role):
        profile.remove(role, account)


def _forget_keys(found: Found, account: Account) -> None:
    # Before the group: what is left of a machine is found by its group, and nothing would lead to keys alone.
    if found.state is InstanceState.TERMINATED and found.token:
        account.keys.forget(found.token)


def _remove_groups(found: Found, account: Account) -> None:
    if found.state is InstanceState.TERMINATED and found.token:
        for group in groups_of(found.token, found.region, account):
            # EC2 holds on to it until the machine's network interface is gone, which may take a little longer still.
            remove_group(found.region, group, account)
