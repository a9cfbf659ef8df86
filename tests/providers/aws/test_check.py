"""The doctor: what is missing is named, with the line to type, and nothing is made or billed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse

from cloudtrain.config.assets import asset_folder
from cloudtrain.config.machine import list_machines
from cloudtrain.model.finding import Finding
from cloudtrain.model.spec import MachineSpec, Market
from cloudtrain.prices.table import rows
from cloudtrain.providers import extras
from cloudtrain.providers.aws import check
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.permissions import why_denied
from cloudtrain.providers.aws.simulation import ON_OURS
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.clock import FakeClock

from .conftest import REGION, Cloud
from .stand_in import Raw, StandIn, account_on

QUOTAS = {"L-417A185B": 8, "L-7212CCBC": 8, "L-DB2E81BA": 64, "L-3819A6DF": 64}
WHO = "arn:aws:sts::123456789012:user/moto"
MADE = ("RunInstances", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "StartInstances")
ENDED = ("TerminateInstances", "StopInstances", "DeleteSecurityGroup")

Look = Callable[..., list[Finding]]


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn(quotas=dict(QUOTAS))


@pytest.fixture
def machine(cloud: Cloud) -> MachineSpec:
    return MachineSpec("aws-g4dn", "aws", regions=(REGION,), instance_types=("g4dn.2xlarge",), endpoint_url=cloud.aws.url)


@pytest.fixture
def open_account(
    cloud: Cloud, stand_in: StandIn, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[MachineSpec | None], Account]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.aws.url)
    return lambda machine: account_on(cloud, stand_in, ProviderSettings(tmp_path / "home", clock, rows, machine))


@pytest.fixture
def look(open_account: Callable[..., Account]) -> Look:
    def findings(machine: MachineSpec | None = None) -> list[Finding]:
        account = open_account(machine)
        found = list(check.findings(account.settings, account.clients))
        assert [finding for finding in found if not finding.ok and not finding.hint] == []
        return found

    return findings


def wanting(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if not finding.ok]


def about(found: list[Finding], subject: str) -> list[Finding]:
    return [finding for finding in found if finding.subject == subject]


def test_all_is_well(look: Look) -> None:
    found = look()
    assert wanting(found) == []
    subjects = ["sdk", "credentials", "account", "region", "permissions", *["quota"] * 4, "prices", "images"]
    assert [finding.subject for finding in found] == subjects
    assert about(found, "credentials")[0].message == "found: env"
    assert about(found, "account")[0].message == f"123456789012, as {WHO}"
    assert [finding.message for finding in about(found, "quota")] == [
        f"P on-demand in {REGION}: 0 of 8 vCPU used",
        f"P spot in {REGION}: 0 of 8 vCPU used",
        f"G and VT on-demand in {REGION}: 0 of 64 vCPU used",
        f"G and VT spot in {REGION}: 0 of 64 vCPU used",
    ]


def test_nothing_is_made_and_nothing_ended(look: Look, cloud: Cloud) -> None:
    look()
    assert {operation for operation in cloud.named() if operation in MADE + ENDED} == {*MADE, *ENDED}
    for operation in MADE + ENDED:
        assert [sent["DryRun"] for sent in cloud.sent(operation)] == [True]


def test_a_launch_is_tried_with_tags(look: Look, cloud: Cloud) -> None:
    look()
    (sent,) = cloud.sent("RunInstances")
    assert [tags["ResourceType"] for tags in sent["TagSpecifications"]] == ["instance", "volume"]


def test_without_the_sdk_nothing_else_is_looked_at(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    assert [(finding.subject, finding.hint) for finding in look()] == [("sdk", "pip install 'cloudtrain[aws]'")]


def test_without_credentials_nobody_is_asked(look: Look, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert [finding.hint for finding in wanting(look())] == ["aws configure"]
    assert cloud.calls == []


def refuse_identity(account: Account, code: str, headers: dict[str, str]) -> None:
    body = f"<R><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></R>"

    def answer(request: AWSRequest, **_: object) -> AWSResponse:
        return AWSResponse(request.url, 403, {"Content-Type": "text/xml", **headers}, Raw(body.encode()))

    account.clients._session().events.register_first("before-send.sts.GetCallerIdentity", answer)


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "ExpiredToken"])
def test_an_account_that_refuses_ends_the_look(code: str, open_account: Callable[..., Account], cloud: Cloud) -> None:
    account = open_account(None)
    refuse_identity(account, code, {})
    found = check.findings(account.settings, account.clients)
    assert [(finding.subject, finding.ok) for finding in found] == [("sdk", True), ("credentials", True), ("account", False)]
    assert code in found[-1].message
    assert "aws configure" in found[-1].hint
    assert set(cloud.named()) == {"GetCallerIdentity"}


def test_an_account_that_does_not_answer_ends_the_look(look: Look, cloud: Cloud) -> None:
    cloud.fail("GetCallerIdentity", "", times=9)
    assert [finding.subject for finding in look()] == ["sdk", "credentials", "account"]
    assert set(cloud.named()) == {"GetCallerIdentity"}


@pytest.mark.parametrize(("ahead", "subject"), [(720, "clock"), (-720, "clock"), (10, "account")])
def test_a_clock_that_is_off_is_named(ahead: int, subject: str, open_account: Callable[..., Account], clock: FakeClock) -> None:
    account = open_account(None)
    there = clock.now() - timedelta(seconds=ahead)
    refuse_identity(account, "SignatureDoesNotMatch", {"Date": f"{there:%a, %d %b %Y %H:%M:%S GMT}"})
    last = check.findings(account.settings, account.clients)[-1]
    assert (last.ok, last.subject) == (False, subject)
    if subject == "clock":
        assert f"12 minutes {'ahead' if ahead > 0 else 'behind'}" in last.message
        assert last.hint == "timedatectl set-ntp true"


@pytest.mark.parametrize("operation", ["RunInstances", "CreateSecurityGroup"])
def test_a_denied_action_is_named(operation: str, look: Look, cloud: Cloud) -> None:
    cloud.fail(operation, "UnauthorizedOperation", "You are not authorized to perform this operation.")
    (denied,) = wanting(look())
    assert denied.subject == "permissions"
    assert denied.message.startswith(f"ec2:{operation} is denied")
    assert f"--policy-source-arn {WHO} --action-names ec2:{operation}" in denied.hint
    assert "SimulatePrincipalPolicy" not in cloud.named()


def simulate(account: Account, decide: Callable[[str], str], missing: str = "") -> None:
    """Let IAM's simulator answer, for which moto has nothing."""

    def answer(request: AWSRequest, **_: object) -> AWSResponse:
        asked = parse_qs(request.body if isinstance(request.body, str) else request.body.decode())
        actions = [asked[f"ActionNames.member.{n}"][0] for n in range(1, 6) if f"ActionNames.member.{n}" in asked]
        values = f"<MissingContextValues><member>{missing}</member></MissingContextValues>" if missing else ""
        results = "".join(
            f"<member><EvalActionName>{action}</EvalActionName><EvalDecision>{decide(action)}</EvalDecision>{values}</member>"
            for action in actions
        )
        body = (
            f"<SimulatePrincipalPolicyResult><EvaluationResults>{results}</EvaluationResults></SimulatePrincipalPolicyResult>"
        )
        whole = f"<SimulatePrincipalPolicyResponse>{body}</SimulatePrincipalPolicyResponse>"
        return AWSResponse(request.url, 200, {"Content-Type": "text/xml"}, Raw(whole.encode()))

    account.clients._session().events.register_first("before-send.iam.SimulatePrincipalPolicy", answer)


def deny_untagged(cloud: Cloud) -> None:
    """Answer as under the policy of docs/providers/aws.md: what carries no tag of ours may not be touched."""
    for action in ON_OURS:
        cloud.fail(action.removeprefix("ec2:"), "UnauthorizedOperation", "You are not authorized to perform this operation.")


def found_by(account: Account) -> list[Finding]:
    return list(check.findings(account.settings, account.clients))


def test_what_a_policy_allows_on_our_own_alone_is_no_denial(open_account: Callable[..., Account], cloud: Cloud) -> None:
    account = open_account(None)
    simulate(account, lambda action: "allowed")
    deny_untagged(cloud)
    found = found_by(account)
    assert wanting(found) == []
    (said,) = about(found, "permissions")
    allowed, by_policy = said.message.split("; ")
    assert allowed == f"allowed in {REGION}: DescribeInstances, DescribeImages, RunInstances, CreateSecurityGroup"
    listed = ", ".join(action.removeprefix("ec2:") for action in ON_OURS)
    assert by_policy == f"by policy, on what carries cloudtrain's tag: {listed}"
    groups, instances = cloud.sent("SimulatePrincipalPolicy")
    assert groups["ResourceArns"] == [f"arn:aws:ec2:{REGION}:123456789012:security-group/sg-00000000000000000"]
    assert instances["ResourceArns"] == [f"arn:aws:ec2:{REGION}:123456789012:instance/i-00000000000000000"]
    assert instances["ActionNames"] == ["ec2:StopInstances", "ec2:StartInstances", "ec2:TerminateInstances"]
    assert instances["PolicySourceArn"] == WHO
    tags = [(entry["ContextKeyName"], entry["ContextKeyValues"]) for entry in instances["ContextEntries"]]
    assert ("aws:ResourceTag/cloudtrain", ["1"]) in tags


@pytest.mark.parametrize("decision", ["implicitDeny", "explicitDeny"])
def test_what_a_policy_does_not_allow_on_our_own_is_denied(
    decision: str, open_account: Callable[..., Account], cloud: Cloud
) -> None:
    account = open_account(None)
    simulate(account, lambda action: decision if action == "ec2:TerminateInstances" else "allowed")
    deny_untagged(cloud)
    (denied,) = wanting(found_by(account))
    assert denied.message.startswith("ec2:TerminateInstances is denied")
    assert "--action-names ec2:TerminateInstances" in denied.hint


def test_what_nobody_can_tell_is_called_unknown(look: Look, cloud: Cloud) -> None:
    deny_untagged(cloud)
    cloud.fail("SimulatePrincipalPolicy", "AccessDenied", times=9)
    found = look()
    assert wanting(found) == []
    (said,) = about(found, "permissions")
    assert "; not known, since it is refused on what does not carry cloudtrain's tag" in said.message
    assert said.message.endswith("StopInstances, StartInstances, TerminateInstances")
    assert "by policy" not in said.message


def test_a_refusal_that_hangs_on_what_the_simulator_was_not_told_is_unknown(
    open_account: Callable[..., Account], cloud: Cloud
) -> None:
    account = open_account(None)
    simulate(account, lambda action: "implicitDeny", "aws:MultiFactorAuthPresent")
    deny_untagged(cloud)
    found = found_by(account)
    assert wanting(found) == []
    assert "not known" in about(found, "permissions")[0].message


def test_what_is_denied_for_certain_is_named_where_others_are_unknown(look: Look, cloud: Cloud) -> None:
    deny_untagged(cloud)
    cloud.fail("RunInstances", "UnauthorizedOperation")
    cloud.fail("SimulatePrincipalPolicy", "AccessDenied", times=9)
    assert [denied.message.split(" ")[0] for denied in wanting(look())] == ["ec2:RunInstances"]


def test_a_launch_that_is_refused_for_its_tags_names_them(look: Look, cloud: Cloud) -> None:
    said = f"User: {WHO} is not authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:us-east-1:1:volume/* because"
    cloud.fail("RunInstances", "UnauthorizedOperation", said)
    (denied,) = wanting(look())
    assert denied.message.startswith("ec2:CreateTags is denied")
    assert "volume/*" in denied.message


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("TerminateInstances", "InvalidInstanceID.NotFound"),
        ("RunInstances", "InvalidAMIID.NotFound"),
        ("RunInstances", "VPCIdNotSpecified"),
        ("DeleteSecurityGroup", "InvalidGroup.NotFound"),
        ("CreateSecurityGroup", "InvalidGroup.Duplicate"),
    ],
)
def test_what_is_refused_for_what_does_not_exist_is_allowed(operation: str, code: str, look: Look, cloud: Cloud) -> None:
    cloud.fail(operation, code)
    assert wanting(look()) == []


def test_a_role_is_asked_about_by_its_own_name() -> None:
    line = why_denied("ec2:RunInstances", "arn:aws:sts::123456789012:assumed-role/Trainer/alice")
    assert "--policy-source-arn arn:aws:iam::123456789012:role/Trainer --action-names ec2:RunInstances" in line


def test_a_region_that_is_not_switched_on_is_named_and_the_next_one_looked_at(look: Look, machine: MachineSpec) -> None:
    found = look(replace(machine, regions=("ap-east-1", REGION)))
    (off,) = wanting(found)
    assert off.message == "ap-east-1 is not switched on for this account"
    assert off.hint == "aws account enable-region --region-name ap-east-1"
    assert REGION in about(found, "permissions")[0].message


def test_a_region_that_is_not_there_is_named(look: Look, machine: MachineSpec) -> None:
    found = look(replace(machine, regions=(REGION, "us-esat-1")))
    assert [finding.message for finding in wanting(found)] == ["AWS has no region us-esat-1"]
    assert [finding.message for finding in about(found, "region") if finding.ok] == [f"{REGION} is switched on"]


def test_no_region_that_can_be_used_ends_the_look(look: Look, machine: MachineSpec) -> None:
    found = look(replace(machine, regions=("ap-east-1",)))
    assert [finding.subject for finding in found] == ["sdk", "credentials", "account", "region"]


def test_a_default_region_of_the_person_s_is_looked_at_beside_the_configs(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    messages = [finding.message for finding in about(look(), "region")]
    assert messages == ["eu-west-1 is switched on", "us-east-1 is switched on"]


def test_the_region_looked_at_without_a_config_is_that_of_the_shipped_ones() -> None:
    machines, _ = list_machines(folders=[asset_folder("configs")])
    shipped = {region for machine in machines if machine.provider == "aws" for region in machine.regions}
    assert shipped == {check.DEFAULT_REGION}


def test_a_limit_of_zero_comes_with_the_line_that_asks_for_more(look: Look, stand_in: StandIn) -> None:
    stand_in.quotas["L-417A185B"] = 0
    (short,) = wanting(look())
    assert short.message == f"P on-demand in {REGION}: 0 of 0 vCPU used; the smallest machine wanted needs 8"
    assert short.hint == (
        "aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-417A185B"
        f" --desired-value 8 --region {REGION}"
    )


@pytest.mark.parametrize(("limit", "enough"), [(8, True), (7, False)])
def test_the_need_is_that_of_the_config_s_smallest_type(
    limit: int, enough: bool, look: Look, machine: MachineSpec, stand_in: StandIn
) -> None:
    stand_in.quotas["L-3819A6DF"] = limit
    wanted = replace(machine, market=Market.SPOT, instance_types=("g4dn.4xlarge", "g4dn.2xlarge"))
    (quota,) = about(look(wanted), "quota")
    assert quota.ok is enough
    assert quota.message.startswith(f"G and VT spot in {REGION}: 0 of {limit} vCPU used")
    assert enough or "--desired-value 8 " in quota.hint


@pytest.mark.parametrize(
    ("operation", "subject", "action"),
    [
        ("GetProducts", "prices", "pricing:GetProducts"),
        ("GetParameters", "images", "ssm:GetParameters"),
        ("GetServiceQuota", "quota", "servicequotas:GetServiceQuota"),
    ],
)
def test_a_service_that_is_denied_is_named(operation: str, subject: str, action: str, look: Look, cloud: Cloud) -> None:
    cloud.fail(operation, "AccessDeniedException", times=9)
    (denied,) = wanting(look())
    assert denied.subject == subject
    assert denied.message.startswith(f"{action} is denied; ")
    assert f"--action-names {action}" in denied.hint


def test_whatever_breaks_is_a_finding(look: Look, cloud: Cloud) -> None:
    later = ["DescribeRegions", "RunInstances", "DescribeInstances", "GetProducts", "GetParameters", "GetServiceQuota"]
    for operation in later:
        cloud.fail(operation, "", times=99)
    found = wanting(look())
    assert {finding.subject for finding in found} == {"regions", "permissions", "quota", "prices", "images"}
