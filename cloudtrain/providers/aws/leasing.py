"""Moving a machine's deadline in the cloud: its tags, and its schedule where there is one."""

from ...model.errors import ProviderError
from ...model.instance import InstanceRef, InstanceState
from ...model.lease import Lease
from ...model.spec import OnFinish
from . import schedule, tags
from .account import Account
from .machines import Found, living
from .translate import calling


def extend(ref: InstanceRef, lease: Lease, account: Account) -> None:
    """Move the deadline of a machine that is on. See `Provider.extend`."""
    found = living(ref, account)
    if found.state is InstanceState.STOPPED:
        raise ProviderError(f"{found.name} is stopped and has no deadline to move", f"Start it: cloudtrain start {found.name}")
    move(found, lease, account)


def move(found: Found, lease: Lease, account: Account) -> Found:
    """Write a new deadline and return the machine with it. The schedule goes first: a tag must not promise what is not."""
    arm_schedule(found, lease, account)
    fresh = tags.of_lease(lease, account.now())
    with calling(found.region):
        account.clients.ec2(found.region).create_tags(Resources=[found.id], Tags=tags.as_list(fresh))
    return found.with_tags(fresh)


def arm_schedule(found: Found, lease: Lease, account: Account) -> None:
    """Arm or move the machine's schedule where the account has the role for one."""
    role = schedule.role_arn(found.account_id, account)
    if role is not None and found.token:
        written = tags.read(found.machine).get(tags.AT_DEADLINE, "")
        end = OnFinish.STOP if written == OnFinish.STOP.value else OnFinish.TERMINATE
        schedule.arm(found.region, found.token, found.id, lease.deadline, end, role, account)


def disarm_schedule(found: Found, account: Account) -> None:
    """Remove the machine's schedule where the account has the role for one."""
    if found.token and schedule.role_arn(found.account_id, account) is not None:
        schedule.cancel(found.region, found.token, account)
