"""What the account may do, found out for free: EC2 says of a dry run whether it would have been allowed."""

import re
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...model.errors import PermissionDeniedError, ProviderError, ProviderUnavailableError
from ...model.finding import Finding
from .clients import Clients
from .simulation import ON_OURS, allowed_on_ours, policy_source
from .translate import calling, code_of

NO_IMAGE = "ami-00000000000000000"
"""An image nobody has, for when none could be looked up."""

SUBJECT = "permissions"

_NO_MACHINE = {"InstanceIds": ["i-00000000000000000"]}
_NO_GROUP = {"GroupId": "sg-00000000000000000"}
_TAG = [{"Key": "cloudtrain", "Value": "check"}]
_THREADS = 8
_DENIED = re.compile(r"not authorized to perform: ([\w-]+:\w+)")


def permission_findings(clients: Clients, region: str, image: str, principal: str) -> list[Finding]:
    """Return one finding for each denied action of those a run needs, and one that says what is allowed.

    `image` is an image that exists; `principal` is who asks, as an ARN. What a policy allows on what carries our tag alone is
    refused in a dry run, where nothing carries it: IAM is asked about that, and where it does not tell, nobody knows.
    """
    asked = _dry_runs(image)
    with ThreadPoolExecutor(_THREADS) as pool:
        answers = list(pool.map(lambda action: _refusal(clients, region, action, asked[action]), asked))
    denied: dict[str, str] = {}
    for action, error in zip(asked, answers, strict=True):
        if isinstance(error, PermissionDeniedError):
            denied[_denied_action(error, action)] = error.message
        elif isinstance(error, ProviderUnavailableError):
            return [Finding(False, SUBJECT, error.message, error.hint)]
    on_ours = [action for action in denied if action in ON_OURS]
    by_policy = allowed_on_ours(clients, region, principal, on_ours) if on_ours else frozenset()
    unknown = on_ours if by_policy is None else []
    found = [
        Finding(False, SUBJECT, f"{action} is denied: {why}", why_denied(action, principal))
        for action, why in denied.items()
        if action not in unknown and action not in (by_policy or ())
    ]
    return found or [Finding(True, SUBJECT, _what_is_allowed(region, asked, on_ours, unknown))]


def _what_is_allowed(region: str, asked: Collection[str], on_ours: Collection[str], unknown: Collection[str]) -> str:
    parts = [f"allowed in {region}: {_listed(action for action in asked if action not in on_ours)}"]
    by_policy = [action for action in on_ours if action not in unknown]
    if by_policy:
        parts.append(f"by policy, on what carries cloudtrain's tag: {_listed(by_policy)}")
    if unknown:
        parts.append(
            f"not known, since it is refused on what does not carry cloudtrain's tag and iam:SimulatePrincipalPolicy does not "
            f"tell: {_listed(unknown)}"
        )
    return "; ".join(parts)


def _listed(actions: Iterable[str]) -> str:
    return ", ".join(action.removeprefix("ec2:") for action in actions)


def why_denied(action: str, principal: str) -> str:
    """Return the line that says which policy denies an action, and where the one cloudtrain needs is written."""
    return (
        f"aws iam simulate-principal-policy --policy-source-arn {policy_source(principal)} --action-names {action}\n"
        "The policy cloudtrain needs is in docs/providers/aws.md"
    )


def _dry_runs(image: str) -> dict[str, Mapping[str, Any]]:
    """Return the requests by IAM action. What is named in them does not exist, so that nothing could happen."""
    tagged = [{"ResourceType": kind, "Tags": _TAG} for kind in ("instance", "volume")]
    return {
        "ec2:DescribeInstances": {},
        "ec2:DescribeImages": {"ImageIds": [image]},
        "ec2:RunInstances": {
            "ImageId": image,
            "InstanceType": "t3.micro",
            "MinCount": 1,
            "MaxCount": 1,
            "TagSpecifications": tagged,
        },
        "ec2:CreateSecurityGroup": {"GroupName": "cloudtrain-check", "Description": "dry run"},
        "ec2:AuthorizeSecurityGroupIngress": {
            **_NO_GROUP,
            "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.1/32"}]}],
        },
        "ec2:DeleteSecurityGroup": _NO_GROUP,
        "ec2:StopInstances": _NO_MACHINE,
        "ec2:StartInstances": _NO_MACHINE,
        "ec2:TerminateInstances": _NO_MACHINE,
    }


def _refusal(clients: Clients, region: str, action: str, request: Mapping[str, Any]) -> ProviderError | None:
    """Return what EC2 answered against a request, or None when it would have been allowed.

    An answer that complains about what does not exist comes after the permission was found good.
    """
    operation = re.sub(r"(?<!^)([A-Z])", r"_\1", action.removeprefix("ec2:")).lower()
    try:
        with calling(region):
            getattr(clients.ec2(region), operation)(DryRun=True, **request)
    except ProviderError as error:
        return None if code_of(error) == "DryRunOperation" else error
    return None


def _denied_action(error: ProviderError, asked: str) -> str:
    """Return the action that was denied: a launch that tags is refused for the tags, too."""
    found = _DENIED.search(str(error.__cause__))
    return found[1] if found else asked
