"""One session, a client for each service and region, and every region asked at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from cloudtrain.model.errors import (
    CredentialsError,
    NotSetUpError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
)
from cloudtrain.model.spec import MachineSpec
from cloudtrain.providers.aws.clients import Clients
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.clock import FakeClock

from .conftest import OTHER_REGION, REGION, Cloud


@pytest.fixture
def make(cloud: Cloud, tmp_path: Path):
    def clients(machine: MachineSpec | None) -> Clients:
        return Clients(ProviderSettings(tmp_path, FakeClock(), lambda name: (), machine))

    return clients


def test_naming_the_provider_imports_no_sdk(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cloudtrain.providers.registry import open_provider; "
        "from cloudtrain.providers.base import ProviderSettings; from cloudtrain.testing.clock import FakeClock; "
        "open_provider('aws', ProviderSettings(Path(sys.argv[1]), FakeClock(), lambda name: ())); "
        "print([m for m in ('boto3', 'botocore') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_missing_sdk_is_an_error_with_the_line_that_installs_it(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(NotSetUpError) as caught:
        make(None).ec2(REGION)
    assert caught.value.hint == "pip install 'cloudtrain[aws]'"


def test_no_credentials_is_an_error_with_the_line_that_logs_in(
    make, machine: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(NotSetUpError) as caught:
        make(machine).regions()
    assert "aws configure" in caught.value.hint


def test_every_service_is_asked_where_the_machine_config_says(make, machine: MachineSpec) -> None:
    clients = make(machine)
    all_of_them = [
        clients.ec2(REGION),
        clients.launching(REGION),
        clients.ssm(REGION),
        clients.pricing(),
        clients.quotas(REGION),
        clients.scheduler(REGION),
        clients.sts(),
        clients.s3(REGION),
        clients.iam(),
        clients.cost_explorer(),
    ]
    assert {client.meta.endpoint_url for client in all_of_them} == {machine.endpoint_url}
    assert clients.ec2(REGION) is clients.ec2(REGION)


def test_the_sdks_own_variable_names_the_endpoint_too(make, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.aws.url)
    assert make(None).ec2(REGION).meta.endpoint_url == cloud.aws.url


def test_reads_are_repeated_by_the_sdk_and_launches_are_not(make) -> None:
    clients = make(None)
    reading, launching = clients.ec2(REGION).meta.config, clients.launching(REGION).meta.config
    assert reading.retries == {"mode": "standard", "total_max_attempts": 5}
    assert launching.retries == {"mode": "standard", "total_max_attempts": 1}
    assert "cloudtrain/" in reading.user_agent_extra
    assert reading.connect_timeout
    assert reading.read_timeout


def test_the_default_region_is_the_machines_the_sessions_or_the_first_ever(
    make, machine: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make(None).default_region() == "us-east-1"
    assert make(machine).wanted_regions() == (REGION, OTHER_REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert make(None).wanted_regions() == ("eu-central-1",)


def test_a_profile_that_does_not_exist_is_named(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsError, match="nobody"):
        make(None).ec2(REGION)


def test_the_regions_are_those_the_account_has_switched_on_and_asked_for_once(account, cloud: Cloud) -> None:
    assert account.clients.regions() == ("eu-west-1", "us-east-1", "us-east-2", "us-west-2")
    assert account.clients.regions() == account.clients.regions()
    assert cloud.sent("DescribeRegions") == [{"AllRegions": False}]


def answers(make, **errors: Exception) -> dict:
    def ask(region: str) -> str:
        if region in errors:
            raise errors[region]
        return region.upper()

    return dict(make(None).in_parallel(ask, ["a", "b", "c"]))


def refusal(kind: type[ProviderError], code: str) -> ProviderError:
    error = kind(code)
    error.__cause__ = type("Sdk", (Exception,), {"response": {"Error": {"Code": code}}})()
    return error


def test_answers_stand_by_region_in_the_order_asked(make) -> None:
    assert list(answers(make).items()) == [("a", "A"), ("b", "B"), ("c", "C")]
    assert make(None).in_parallel(str, []) == {}


def test_a_region_that_is_not_switched_on_is_left_out(make) -> None:
    assert answers(make, b=refusal(CredentialsError, "AuthFailure")) == {"a": "A", "c": "C"}


def test_a_silent_region_is_named_and_does_not_look_empty(make) -> None:
    with pytest.raises(ProviderUnavailableError, match=r"b: no line; c: denied"):
        answers(make, b=ProviderUnavailableError("no line"), c=PermissionDeniedError("denied"))


def test_regions_that_refuse_alike_refuse_as_one(make) -> None:
    denied = {region: refusal(PermissionDeniedError, "UnauthorizedOperation") for region in "abc"}
    with pytest.raises(PermissionDeniedError):
        answers(make, **denied)
    bad = {region: refusal(CredentialsError, "AuthFailure") for region in "abc"}
    with pytest.raises(CredentialsError):
        answers(make, **bad)


def test_a_mistake_of_ours_is_not_hidden(make) -> None:
    with pytest.raises(KeyError):
        answers(make, b=KeyError("x"))
