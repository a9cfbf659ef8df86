"""Looking at machines: one by its id, one order's, and all that are ours in every region."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...model.errors import InstanceNotFoundError, ProviderUnavailableError
from ...model.instance import Instance, InstanceRef, InstanceState
from . import tags
from .account import Account
from .describe import Described, shown, state_of
from .translate import calling

PAGE = 1000
"""The most machines EC2 puts on one page."""

NOT_TERMINATED = ("pending", "running", "stopping", "stopped", "shutting-down")


@dataclass(frozen=True, slots=True)
class Found:
    """A machine as EC2 described it.

    Attributes:
        account_id: the AWS account it belongs to, twelve digits.
    """

    machine: Described
    region: str
    account_id: str

    @property
    def id(self) -> str:
        """Return EC2's name of the machine."""
        return str(self.machine["InstanceId"])

    @property
    def state(self) -> InstanceState:
        """Return its state."""
        return state_of(self.machine)

    @property
    def token(self) -> str:
        """Return the order it came from, "" when its tags do not say."""
        return tags.read(self.machine).get(tags.TOKEN, "")

    @property
    def name(self) -> str:
        """Return what a person calls it."""
        return tags.read(self.machine).get(tags.NAME, self.id)

    def with_tags(self, fresh: tags.Tags, state: str = "") -> "Found":
        """Return it as it is after tags were written and EC2 said a new state ("" for the same)."""
        machine = {**self.machine, "Tags": tags.as_list({**tags.read(self.machine), **fresh})}
        if state:
            machine["State"] = {"Name": state}
        return Found(machine, self.region, self.account_id)

    def shown(self, account: Account) -> Instance:
        """Return it in the contract's words."""
        return shown(self.machine, self.region, account)


def find(ref: InstanceRef, account: Account) -> Found:
    """Return the machine, terminated ones included while EC2 shows them. One call; one more before it is believed gone.

    Raises:
        InstanceNotFoundError: EC2 knows no such machine, asked for it and asked for all that bear its id.
        ProviderUnavailableError: EC2 did not answer, or has only just made the machine and does not know it everywhere.
    """
    region = ref.region or account.clients.default_region()
    ec2 = account.clients.ec2(region)
    with contextlib.suppress(InstanceNotFoundError), calling(region):
        for found in _in(ec2.describe_instances(InstanceIds=[ref.id]), region):
            return found
    if account.was_just_made(ref.id):
        raise ProviderUnavailableError(f"EC2 has made {ref.id} and does not know it everywhere yet", "Try again in a minute.")
    with calling(region):
        for found in _in(ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [ref.id]}]), region):
            return found
    raise InstanceNotFoundError(f"EC2 knows no machine {ref.id} in {region}", "Look: cloudtrain status")


def living(ref: InstanceRef, account: Account) -> Found:
    """Return a machine that has not ended.

    Raises:
        InstanceNotFoundError: there is none, or it is ending.
    """
    found = find(ref, account)
    if found.state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        raise InstanceNotFoundError(
            f"{found.name} ({ref.id}) is {found.state.value}", f"Launch anew: cloudtrain start {found.name}"
        )
    return found


def of_token(token: str, region: str, account: Account) -> Found | None:
    """Return the machine an order made, one that has not ended before one that has; None when there is none."""
    with calling(region):
        reply = account.clients.ec2(region).describe_instances(Filters=tags.with_token(token))
    ended = (InstanceState.TERMINATING, InstanceState.TERMINATED)
    return min(_in(reply, region), key=lambda found: found.state in ended, default=None)


def in_region(region: str, account: Account) -> list[Found]:
    """Return all of ours in a region that are not terminated."""
    found: list[Found] = []
    with calling(region):
        pages = (
            account.clients.ec2(region)
            .get_paginator("describe_instances")
            .paginate(Filters=tags.filters(instance_state_name=NOT_TERMINATED), PaginationConfig={"PageSize": PAGE})
        )
        for page in pages:
            found += _in(page, region)
    return found


def everywhere(account: Account) -> Sequence[Instance]:
    """Return all of ours in every region, in the contract's words."""
    by_region = account.clients.in_parallel(lambda region: in_region(region, account), account.clients.regions())
    return tuple(found.shown(account) for region in by_region.values() for found in region)


def _in(reply: Mapping[str, Any], region: str) -> Iterator[Found]:
    for reservation in reply["Reservations"]:
        for machine in reservation["Instances"]:
            yield Found(machine, region, str(reservation.get("OwnerId", "")))
