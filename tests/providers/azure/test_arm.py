"""Asking Azure Resource Manager: where, as whom, for which subscription, and operations that take a while."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtrain.model.errors import ConfigError, NotSetUpError, ProviderError, ProviderUnavailableError
from cloudtrain.model.spec import MachineSpec
from cloudtrain.providers.azure import endpoints, login
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.operation import Operation, resumed, started
from cloudtrain.providers.azure.pipeline import Answer
from cloudtrain.providers.azure.versions import RESOURCES
from cloudtrain.testing.clock import FakeClock
from tests.providers.azure.conftest import Cloud

GROUPS = "Microsoft.Resources/subscriptions/resourceGroups/read"
MANAGER = "https://management.test"
URL = f"{MANAGER}/subscriptions/s/resourceGroups/g?api-version=1"


class Told:
    """A Resource Manager that answers what a test wrote down."""

    def __init__(self, *answers: Answer) -> None:
        self.clock = FakeClock()
        self.answers, self.asked = list(answers), []

    def ask_again(self, act: str, url: str) -> Answer:
        self.asked.append((url, self.clock.monotonic()))
        return self.answers.pop(0)


def working(seconds: str = "7", status: str = "InProgress") -> Answer:
    return Answer(200, {"status": status}, {"retry-after": seconds})


def accepted(**headers: str) -> Answer:
    return Answer(202, {}, {name.replace("_", "-"): text for name, text in headers.items()})


def test_an_operation_is_looked_at_no_faster_than_azure_says() -> None:
    told = Told(working("7"), working("60"), Answer(200, {"status": "Succeeded"}))
    operation = started(told, "act", URL, accepted(azure_asyncoperation=f"{MANAGER}/op", retry_after="3"))
    operation.wait()
    assert told.asked == [(f"{MANAGER}/op", 3.0), (f"{MANAGER}/op", 10.0), (f"{MANAGER}/op", 40.0)]


def test_an_operation_that_fails_with_status_200_is_the_error_it_tells() -> None:
    error = {"code": "AllocationFailed", "message": "no room"}
    told = Told(working(), Answer(200, {"status": "Failed", "error": error}))
    with pytest.raises(ProviderError, match=r"no room \(AllocationFailed\)"):
        started(told, "act", URL, accepted(azure_asyncoperation=f"{MANAGER}/op")).wait()


def test_a_cancelled_operation_did_not_go_well() -> None:
    told = Told(Answer(200, {"status": "Canceled"}))
    with pytest.raises(ProviderError, match="canceled"):
        started(told, "act", URL, accepted(azure_asyncoperation=f"{MANAGER}/op")).wait()


def test_a_location_is_followed_until_it_is_done() -> None:
    told = Told(accepted(location=f"{MANAGER}/second"), Answer(200, {}))
    started(told, "act", URL, accepted(location=f"{MANAGER}/first")).wait()
    assert [url for url, _ in told.asked] == [f"{MANAGER}/first", f"{MANAGER}/second"]


def test_what_has_no_address_to_follow_is_followed_itself() -> None:
    def state(name: str) -> Answer:
        return Answer(201, {"properties": {"provisioningState": name}})

    told = Told(state("Updating"), state("Succeeded"))
    started(told, "act", URL, state("Creating")).wait()
    assert [url for url, _ in told.asked] == [URL, URL]
    with pytest.raises(ProviderError):
        started(Told(state("Failed")), "act", URL, state("Creating")).wait()
    for answer in (Answer(200, {"name": "g"}), Answer(204, {}), state("Succeeded")):
        assert started(Told(), "act", URL, answer).done()


def test_an_operation_that_never_ends_is_given_up_and_nothing_is_concluded() -> None:
    told = Told(*[working("30")] * 50)
    with pytest.raises(ProviderUnavailableError, match="is not done after 600 s"):
        started(told, "act", URL, accepted(azure_asyncoperation=f"{MANAGER}/op")).wait(600)


def test_an_operation_is_taken_up_by_its_token() -> None:
    first = started(Told(), "act", URL, accepted(azure_asyncoperation=f"{MANAGER}/op"))
    told = Told(working(), Answer(200, {"status": "Succeeded"}))
    again: Operation = resumed(told, first.token())
    again.wait()
    assert [url for url, _ in told.asked] == [f"{MANAGER}/op"] * 2
    for text in ("", "{}", "[1]", json.dumps({"act": 1})):
        with pytest.raises(ProviderError):
            resumed(told, text)


def test_our_token_is_sent_to_nobody_else(account: Account, cloud: Cloud) -> None:
    for url in ("https://elsewhere.test/op", f"{cloud.azure.url}.elsewhere.test/op", f"{cloud.azure.url}@elsewhere.test/"):
        with pytest.raises(ProviderUnavailableError, match="not its own"):
            account.arm.ask_again("act", url)
    assert cloud.named() == []


def test_a_list_is_read_to_its_end(account: Account, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    arm = account.arm
    pages = [
        {"value": [{"name": "a"}], "nextLink": f"{cloud.azure.url}/subscriptions/x?page=2"},
        {"value": [{"name": "b"}], "nextLink": "https://elsewhere.test/steal"},
    ]
    monkeypatch.setattr(arm, "_answer", lambda *_: Answer(200, pages.pop(0)))
    listed = arm.pages("act", "/subscriptions/x", api="1")
    assert [next(listed)["name"], next(listed)["name"]] == ["a", "b"]
    with pytest.raises(ProviderUnavailableError):
        next(listed)


def test_the_subscription_and_the_login_go_to_the_cloud_that_is_named(account: Account, cloud: Cloud) -> None:
    assert account.arm.subscription == cloud.azure.subscription
    assert list(account.arm.pages(GROUPS, account.arm.below("resourcegroups"), api=RESOURCES)) == []
    assert cloud.named()[-1] == "Microsoft.Resources:resourceGroups/LIST"
    assert cloud.counted("Entra:token") == 1
    account.arm.call(GROUPS, "GET", account.arm.below("resourcegroups"), api=RESOURCES)
    assert cloud.counted("Entra:token") == 1


def test_nothing_is_asked_without_a_login(
    nobody_is_logged_in: Path, make_account: Callable[[MachineSpec | None], Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = make_account(None).arm
    with pytest.raises(NotSetUpError) as raised:
        arm.call("act", "GET", "/subscriptions", api="1")
    assert "az login" in raised.value.hint
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "s")
    with pytest.raises(NotSetUpError, match="No login"):
        make_account(None).arm.call("act", "GET", "/subscriptions", api="1")


def test_the_subscription_is_the_config_s_else_the_environment_s_else_the_cli_s_default(
    nobody_is_logged_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody_is_logged_in.mkdir()
    listed = [{"id": "first", "isDefault": False}, {"id": "second", "isDefault": True}]
    text = json.dumps({"subscriptions": listed})
    (nobody_is_logged_in / "azureProfile.json").write_text(text, encoding="utf-8-sig")  # as the CLI writes it
    assert login.find_subscription() == "second"
    assert login.login_source() == str(nobody_is_logged_in / "azureProfile.json")
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "third")
    assert login.find_subscription() == "third"
    assert login.find_subscription(MachineSpec("m", "azure", subscription="fourth")) == "fourth"
    assert login.find_subscription(MachineSpec("m", "azure")) == "third"


def test_where_a_login_is_found_is_said_without_it(nobody_is_logged_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert login.login_source() == ""
    monkeypatch.setenv("AZURE_CLIENT_ID", "me")
    monkeypatch.setenv("AZURE_TENANT_ID", "here")
    assert login.login_source() == ""
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s3cret")
    assert "AZURE_CLIENT_ID" in login.login_source()
    assert "s3cret" not in login.login_source()


@pytest.mark.parametrize(
    ("authority", "manager", "is_own"),
    [
        ("", "https://management.azure.com", False),
        ("login.microsoftonline.us", "https://management.usgovcloudapi.net", False),
        ("https://login.chinacloudapi.cn/", "https://management.chinacloudapi.cn", False),
        ("https://login.intern.test", "https://management.azure.com", True),
    ],
)
def test_an_authority_brings_its_cloud_with_it(
    nobody_is_logged_in: Path, monkeypatch: pytest.MonkeyPatch, authority: str, manager: str, is_own: bool
) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", authority)
    found = endpoints.find_endpoints(None)
    assert (found.manager, found.is_own) == (manager, is_own)
    assert found.scope == f"{manager}/.default"


def test_the_machine_config_s_addresses_win(nobody_is_logged_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "login.microsoftonline.us")
    monkeypatch.setenv("CLOUDTRAIN_RESOURCE_MANAGER_URL", "https://theirs.test")
    assert endpoints.find_endpoints(None).manager == "https://theirs.test"
    machine = MachineSpec("m", "azure", authority_url="https://a.test/", resource_manager_url="https://r.test/")
    found = endpoints.find_endpoints(machine)
    assert (found.authority, found.manager) == ("https://a.test", "https://r.test")
    with pytest.raises(ConfigError):
        endpoints.find_endpoints(MachineSpec("m", "azure", authority_url="ftp://a.test"))


def test_the_cloud_is_the_cli_s_where_nothing_else_is_said(nobody_is_logged_in: Path) -> None:
    nobody_is_logged_in.mkdir()
    (nobody_is_logged_in / "config").write_text("[cloud]\nname = AzureChinaCloud\n")
    assert endpoints.find_endpoints(None).authority == "https://login.chinacloudapi.cn"
    (nobody_is_logged_in / "config").write_text("broken")
    assert endpoints.find_endpoints(None).authority == "https://login.microsoftonline.com"


def test_azure_s_libraries_are_imported_only_when_azure_is_asked() -> None:
    code = (
        "import sys; import cloudtrain.providers.azure.provider; "
        "print([name for name in sys.modules if name == 'requests' or name.split('.')[0] == 'azure'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"


def test_no_generated_client_is_used() -> None:
    folder = Path(endpoints.__file__).parent
    text = "".join(file.read_text() for file in folder.glob("*.py"))
    assert not [
        line for line in text.splitlines() if "import" in line and "azure.mgmt." in line and "azure.mgmt.core" not in line
    ]
    assert "/powerOff" not in text
