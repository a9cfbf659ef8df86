"""The role of one machine, made only when its order asks for it: it reaches one folder of S3, and nothing else."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ...model.clock import Clock
from ...model.errors import PermissionDeniedError, ProviderError
from ...model.instance import LaunchOrder
from . import schedule, tags
from .account import Account
from .storage import address_of
from .translate import calling, code_of

TAG = "cloudtrain:profile"
"""On a machine: the name of its role and profile."""

PATH = "/cloudtrain/"
POLICY = "checkpoints"
PREFIX = "cloudtrain-"
LONGEST_NAME = 64

PROPAGATION_S, PAUSE_S = 60.0, 2.0
"""How long EC2 may not know a profile that IAM has just made, and how often it is asked, in seconds."""

ABSENT, THERE, HELD = "NoSuchEntity", "EntityAlreadyExists", "LimitExceeded"

_NOT_KNOWN_YET = re.compile(r"iam ?instance ?profile", re.IGNORECASE)
_LEAVE_OUT = "Let whoever administers the account allow it (docs/providers/aws.md), or leave `checkpoints` out."

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Role:
    """A role that was made for a machine."""

    name: str
    token: str
    owner: str


def name_of(token: str) -> str:
    """Return the name of an order's role, and of the profile that carries it; the same for the same order."""
    name = PREFIX + token
    # Only a token that nobody here gives is that long.
    return name if len(name) <= LONGEST_NAME else PREFIX + hashlib.sha256(token.encode()).hexdigest()[:32]


def is_ours(name: str) -> bool:
    """Say whether a role's name is one that `name_of` gives."""
    return name.startswith(PREFIX) and name not in (PREFIX, schedule.ROLE)


def tag_of(order: LaunchOrder) -> tags.Tags:
    """Return what a machine remembers of its role: nothing when it has none."""
    return {TAG: name_of(order.token)} if order.checkpoints else {}


def of_request(order: LaunchOrder) -> Mapping[str, Any]:
    """Return the part of RunInstances that gives a machine its role."""
    return {"IamInstanceProfile": {"Name": name_of(order.token)}} if order.checkpoints else {}


def told_of(url: str) -> str:
    """Say what is made for checkpoints at an address, for who is about to pay."""
    return (
        f"For {url} a launch makes a role of the machine's own ({PREFIX}…): the job may read and write what lies there, and "
        "nothing else. It goes with the machine."
    )


def make(order: LaunchOrder, account: Account) -> None:
    """Make the order's role and profile where it asks for them, or find them. What it made is gone when it fails.

    Raises:
        PermissionDeniedError: the account may not make roles; names the action.
        ProviderError: IAM refused otherwise.
    """
    if not order.checkpoints:
        return
    try:
        _make(name_of(order.token), order, account)
    except ProviderError:
        undo(order, account)
        raise


def undo(order: LaunchOrder, account: Account) -> None:
    """Remove what `make` made for an order, as far as that can be done now."""
    if order.checkpoints:
        with suppress(ProviderError):  # what stays carries our tags and is found as a leftover
            remove(name_of(order.token), account)


def until_known(ask: Callable[[], T], clock: Clock) -> T:
    """Launch again while EC2 does not know the profile yet, for a minute at most.

    Raises:
        ProviderError: the last answer.
    """
    return _again_while(_is_unknown_to_ec2, ask, clock)


def remove(name: str, account: Account) -> None:
    """Remove a profile and its role. What is absent is a success. The role goes last: by it the rest is found.

    Raises:
        PermissionDeniedError: the account may not; names the action.
        ProviderError: IAM does not let go of it.
    """
    iam = account.clients.iam()
    role, profile = {"RoleName": name}, {"InstanceProfileName": name}
    there = _ask(iam.get_instance_profile, profile, unless=ABSENT)
    if there and there["InstanceProfile"]["Roles"]:
        _ask(iam.remove_role_from_instance_profile, profile | role, unless=ABSENT)
    _ask(iam.delete_instance_profile, profile, unless=ABSENT)
    _ask(iam.delete_role_policy, role | {"PolicyName": POLICY}, unless=ABSENT)
    _ask(iam.delete_role, role, unless=ABSENT)


def made(account: Account) -> Sequence[Role]:
    """Return the roles that were made for machines. Who may not list roles sees none: they cost nothing.

    Raises:
        ProviderError: IAM did not answer.
    """
    iam = account.clients.iam()
    try:
        with calling():
            pages = iam.get_paginator("list_roles").paginate(PathPrefix=PATH)
            names = [str(role["RoleName"]) for page in pages for role in page["Roles"] if is_ours(role["RoleName"])]
            return [_read(name, iam.list_role_tags(RoleName=name)) for name in names]
    except PermissionDeniedError:
        return ()


def policy(url: str, partition: str = "aws") -> Mapping[str, Any]:
    """Return the policy that lets a machine list, read and write what lies under an address, and nothing else."""
    address = address_of(url)
    bucket, folder = f"arn:{partition}:s3:::{address.bucket}", _literal(address.folder)
    statements = [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
            "Resource": f"{bucket}/{folder}*",
        },
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": bucket,
            "Condition": {"StringLike": {"s3:prefix": f"{folder}*"}},
        },
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _make(name: str, order: LaunchOrder, account: Account) -> None:
    iam, clock = account.clients.iam(), account.settings.clock
    role, profile = {"RoleName": name}, {"InstanceProfileName": name}
    marks = {"Path": PATH, "Tags": tags.as_list(tags.of_thing(order))}
    about = {
        "AssumeRolePolicyDocument": json.dumps(_TRUST),
        "Description": "Lets one machine of cloudtrain reach its checkpoints",
    }
    new = _ask(iam.create_role, {**role, **marks, **about}, unless=THERE) or _ask(iam.get_role, role)
    document = json.dumps(policy(order.checkpoints, str(new["Role"]["Arn"]).split(":")[1]))
    _again_while(
        _is_absent, lambda: _ask(iam.put_role_policy, {**role, "PolicyName": POLICY, "PolicyDocument": document}), clock
    )
    _ask(iam.create_instance_profile, {**profile, **marks}, unless=THERE)
    # A profile holds one role: one that holds any holds this one.
    _again_while(_is_absent, lambda: _ask(iam.add_role_to_instance_profile, profile | role, unless=HELD), clock)


def _ask(call: Callable[..., Mapping[str, Any]], request: Mapping[str, Any], unless: str = "") -> Mapping[str, Any]:
    """Ask IAM; an answer with the code `unless` is as good as an empty one. What is denied is named."""
    try:
        with calling():
            return call(**request)
    except PermissionDeniedError as error:
        action = "iam:" + "".join(word.capitalize() for word in call.__name__.split("_"))
        said = error.message if "iam:" in error.message else f"{action} is denied"
        raise PermissionDeniedError(f"The role for the checkpoints: {said}", _LEAVE_OUT) from error.__cause__
    except ProviderError as error:
        if not unless or code_of(error) != unless:
            raise
        return {}


def _again_while(passes: Callable[[ProviderError], bool], ask: Callable[[], T], clock: Clock) -> T:
    """Ask again while the answer is one that passes: what IAM makes is known everywhere only after a while."""
    give_up_at = clock.monotonic() + PROPAGATION_S
    while True:
        try:
            return ask()
        except ProviderError as error:
            if not passes(error) or clock.monotonic() >= give_up_at:
                raise
        clock.sleep(PAUSE_S)


def _is_unknown_to_ec2(error: ProviderError) -> bool:
    return code_of(error) == "InvalidParameterValue" and _NOT_KNOWN_YET.search(error.message) is not None


def _is_absent(error: ProviderError) -> bool:
    return code_of(error) == ABSENT


def _read(name: str, reply: Mapping[str, Any]) -> Role:
    written = tags.read(reply)
    return Role(name, written.get(tags.TOKEN, ""), written.get(tags.OWNER, ""))


def _literal(folder: str) -> str:
    """Write a folder so that IAM reads it as it is: a star in a key is no wildcard, a dollar no variable."""
    return re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", folder)
