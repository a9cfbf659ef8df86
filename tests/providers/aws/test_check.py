"""The doctor: what is missing is named, with the line to type, and nothing is made or billed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

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


@pytest.mark.parametrize("operation", MADE + ENDED)
def test_a_denied_action_is_named(operation: str, look: Look, cloud: Cloud) -> None:
    cloud.fail(operation, "UnauthorizedOperation", "You are not authorized to perform this operation.")
    (denied,) = wanting(look())
    assert denied.subject == "permissions"
    assert denied.message.startswith(f"ec2:{operation} is denied")
    assert f"--policy-source-arn {WHO} --action-names ec2:{operation}" in denied.hint


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
