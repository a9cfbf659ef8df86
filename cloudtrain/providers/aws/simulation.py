"""What IAM says that a policy allows on what carries our tag: a dry run cannot tell before there is such a thing."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...model.errors import ProviderError
from .clients import Clients
from .translate import calling

ON_OURS: Mapping[str, str] = {
    "ec2:AuthorizeSecurityGroupIngress": "security-group/sg-00000000000000000",
    "ec2:DeleteSecurityGroup": "security-group/sg-00000000000000000",
    "ec2:StopInstances": "instance/i-00000000000000000",
    "ec2:StartInstances": "instance/i-00000000000000000",
    "ec2:TerminateInstances": "instance/i-00000000000000000",
}
"""The actions that need be allowed on what carries our tag alone, each with what it acts on."""

_ASSUMED = re.compile(r"arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/.*")
_TAGGED = [
    {"ContextKeyName": f"{prefix}:ResourceTag/cloudtrain", "ContextKeyValues": ["1"], "ContextKeyType": "string"}
    for prefix in ("aws", "ec2")
]


def allowed_on_ours(clients: Clients, region: str, principal: str, actions: Sequence[str]) -> frozenset[str] | None:
    """Return which of these actions of `ON_OURS` IAM's simulator allows `principal`, an ARN; None where it does not tell.

    It makes nothing and costs nothing. It may be denied itself, and does not know every kind of caller.
    """
    partition, account = principal.split(":")[1], principal.split(":")[4]
    allowed: set[str] = set()
    for resource in dict.fromkeys(ON_OURS[action] for action in actions):
        try:
            with calling():
                answer = clients.iam().simulate_principal_policy(
                    PolicySourceArn=policy_source(principal),
                    ActionNames=[action for action in actions if ON_OURS[action] == resource],
                    ResourceArns=[f"arn:{partition}:ec2:{region}:{account}:{resource}"],
                    ContextEntries=_TAGGED,
                )
        except ProviderError:
            return None
        for result in answer["EvaluationResults"]:
            if result["EvalDecision"] == "allowed":
                allowed.add(result["EvalActionName"])
            elif _hangs_on_more(result):
                return None
    return frozenset(allowed)


def policy_source(principal: str) -> str:
    """Return whose policies decide for `principal`, an ARN: for a session of a role, the role's."""
    found = _ASSUMED.fullmatch(principal)
    return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}" if found else principal


def _hangs_on_more(result: Mapping[str, Any]) -> bool:
    """Say whether a refusal may come of a condition whose value the simulator was not told."""
    return result["EvalDecision"] != "explicitDeny" and bool(result.get("MissingContextValues"))
