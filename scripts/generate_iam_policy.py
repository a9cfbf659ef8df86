"""Write the IAM policies in docs/providers/aws.md from the calls that cloudtrain makes on a pretend AWS.

python scripts/generate_iam_policy.py            write them
python scripts/generate_iam_policy.py --check    exit 1 when the page is not what would be written

Every verb of the AWS provider is called once; the pretend AWS writes down which actions that took. Conditions are put where
AWS knows them: what exists may be changed only when it carries our tag, and tags may be written only in the calls that make
something. An action that no statement below knows ends the script: somebody has to decide how narrow it can be.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_verbs import CHECKPOINTS, INPUTS, NETWORK, SET_UP, calls_by_verb

PAGE = Path(__file__).resolve().parent.parent / "docs" / "providers" / "aws.md"
BEGIN, END = "<!-- {name}: written by scripts/generate_iam_policy.py -->", "<!-- end of {name} -->"

OURS = {"StringEquals": {"aws:ResourceTag/cloudtrain": "1"}}
ROLE = "arn:aws:iam::*:role/cloudtrain-deadline"


@dataclass(frozen=True, slots=True)
class Rule:
    """How narrow some actions can be. `actions` is a regular expression of the whole name."""

    sid: str
    actions: str
    resources: tuple[str, ...] = ("*",)
    condition: Mapping[str, Any] | None = None


MADE_BY_A_LAUNCH = ("*:instance", "*:volume", "*:spot-instances-request")
BESIDE_A_LAUNCH = (":image", "*:subnet", "*:security-group", "*:network-interface")
TAGGING = ("RunInstances", "CreateSecurityGroup", "CreateVpc", "CreateInternetGateway", "CreateSubnet")

RULES = (
    Rule("Look", r"ec2:Describe\w+|ssm:GetParameters|pricing:Get\w+|servicequotas:Get\w+|ce:Get\w+|sts:GetCallerIdentity"),
    Rule("LookAtWhatCloudtrainMade", r"iam:ListRoles|scheduler:ListSchedules"),
    Rule("LaunchBesideWhatIsMade", r"ec2:RunInstances", tuple(f"arn:aws:ec2:*:{kind}/*" for kind in BESIDE_A_LAUNCH)),
    Rule("MakeAGroup", r"ec2:CreateSecurityGroup"),
    Rule(
        "EndAndChangeOnlyWhatIsOurs",
        r"ec2:(Terminate|Stop|Start)Instances|ec2:ModifyInstanceAttribute|ec2:DeleteVolume|ec2:DeleteSecurityGroup"
        r"|ec2:(Authorize|Revoke)SecurityGroupIngress|ec2:CancelSpotInstanceRequests",
        condition=OURS,
    ),
    Rule("MoveDeadlines", r"ec2:CreateTags", ("arn:aws:ec2:*:*:instance/*",), OURS),
    Rule(
        "KeepDeadlinesInTheCloud",
        r"scheduler:(Create|Update|Get|Delete)Schedule",
        ("arn:aws:scheduler:*:*:schedule/default/ct-*",),
    ),
    Rule("SetUpDeadlines", r"iam:(CreateRole|GetRole|PutRolePolicy)", (ROLE,)),
    Rule("MakeANetwork", r"ec2:Create(Vpc|InternetGateway|Subnet|Route)|ec2:AttachInternetGateway"),
)

MACHINE_ROLES = ("arn:aws:iam::*:role/cloudtrain/cloudtrain-*", "arn:aws:iam::*:instance-profile/cloudtrain/cloudtrain-*")

S3_RULES = (
    Rule("ReadWhatJobsReadInS3", r"s3:(GetObject|ListBucket)", ("arn:aws:s3:::YOUR-BUCKET", "arn:aws:s3:::YOUR-BUCKET/*")),
    Rule("MakeRolesOfMachinesWithCheckpoints", r"iam:\w+(Role|RolePolicy|RoleTags|InstanceProfile)", MACHINE_ROLES),
)

LAUNCH_TAGGED = {
    "Sid": "LaunchOnlyWhatCarriesOurTag",
    "Effect": "Allow",
    "Action": "ec2:RunInstances",
    "Resource": [f"arn:aws:ec2:*:{kind}/*" for kind in MADE_BY_A_LAUNCH],
    "Condition": {"StringLike": {"aws:RequestTag/cloudtrain": "*"}},
}
TAG_AT_BIRTH = {
    "Sid": "TagOnlyWhatIsBeingMade",
    "Effect": "Allow",
    "Action": "ec2:CreateTags",
    "Resource": "*",
    "Condition": {"StringEquals": {"ec2:CreateAction": list(TAGGING)}},
}
HAND_OVER = {
    "Sid": "HandTheDeadlineRoleToTheScheduler",
    "Effect": "Allow",
    "Action": "iam:PassRole",
    "Resource": ROLE,
    "Condition": {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
}
TAG_MACHINE_ROLES = {
    "Sid": "TagThemAsTheyAreMade",
    "Effect": "Allow",
    "Action": ["iam:TagInstanceProfile", "iam:TagRole"],
    "Resource": list(MACHINE_ROLES),
}
HAND_OVER_TO_MACHINES = {
    "Sid": "HandThemToMachines",
    "Effect": "Allow",
    "Action": "iam:PassRole",
    "Resource": MACHINE_ROLES[0],
    "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
}
SPOT_ONCE = {
    "Sid": "SpotOncePerAccount",
    "Effect": "Allow",
    "Action": "iam:CreateServiceLinkedRole",
    "Resource": "arn:aws:iam::*:role/aws-service-role/spot.amazonaws.com/*",
    "Condition": {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}},
}


def main(arguments: list[str]) -> int:
    """Write or check the page; return the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write(__doc__ or "")
        return 2
    before = PAGE.read_text(encoding="utf-8")
    after = filled(before, blocks())
    if arguments == []:
        PAGE.write_text(after, encoding="utf-8")
    elif before != after:
        sys.stderr.write("docs/providers/aws.md is stale: run python scripts/generate_iam_policy.py\n")
        return 1
    return 0


def filled(page: str, contents: Mapping[str, str]) -> str:
    """Return a page with the blocks of these names written anew.

    Raises:
        ValueError: the page has no place for one of them.
    """
    for name, content in contents.items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        if begin not in page or end not in page:
            raise ValueError(f"docs/providers/aws.md has no place for {name}: {begin} … {end}")
        page = page[: page.index(begin)] + f"{begin}\n{content}\n" + page[page.index(end) :]
    return page


def blocks() -> dict[str, str]:
    """Return every block of the page, by name."""
    by_verb = calls_by_verb()
    sometimes = (SET_UP, NETWORK, INPUTS, CHECKPOINTS)
    everyday = {action for verb, actions in by_verb.items() if verb not in sometimes for action in actions}
    set_up, network = set(by_verb[SET_UP]) - everyday, set(by_verb[NETWORK]) - everyday
    s3 = {*by_verb[INPUTS], *by_verb[CHECKPOINTS]} - everyday
    return {
        "policy": _json([*statements(everyday), LAUNCH_TAGGED, TAG_AT_BIRTH, HAND_OVER, SPOT_ONCE]),
        "set-up policy": _json(statements(set_up)),
        "network policy": _json(statements(network)),
        "S3 policy": _json([*statements(s3, S3_RULES), TAG_MACHINE_ROLES, HAND_OVER_TO_MACHINES]),
        "calls": _table(by_verb),
    }


def statements(actions: set[str], rules: Sequence[Rule] = RULES) -> list[Mapping[str, Any]]:
    """Return the statements that allow these actions and no more.

    Raises:
        ValueError: no rule knows an action.
    """
    left, allowed = set(actions), []
    for rule in rules:
        named = sorted(action for action in left if re.fullmatch(rule.actions, action))
        left -= set(named)
        if named:
            allowed.append(_statement(rule, named))
    if left:
        raise ValueError(f"how narrow can these be? Add a rule to {Path(__file__).name}: {', '.join(sorted(left))}")
    return allowed


def _statement(rule: Rule, actions: Sequence[str]) -> Mapping[str, Any]:
    resources = list(rule.resources)
    found = {
        "Sid": rule.sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": resources if len(resources) > 1 else resources[0],
    }
    return found | ({"Condition": rule.condition} if rule.condition else {})


def _json(allowed: Sequence[Mapping[str, Any]]) -> str:
    document = {"Version": "2012-10-17", "Statement": list(allowed)}
    return f"```json\n{json.dumps(document, indent=2)}\n```"


def _table(by_verb: Mapping[str, Sequence[str]]) -> str:
    rows = [f"| {verb} | {', '.join(f'`{action}`' for action in actions)} |" for verb, actions in by_verb.items()]
    return "\n".join(["| verb | what it calls |", "|---|---|", *rows])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
