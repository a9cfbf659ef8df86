"""The doctor: what is missing is named, with the line to type, and nothing is made or billed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.model.errors import NotSetUpError
from cloudtrain.model.finding import Finding
from cloudtrain.model.spec import MachineSpec, Market
from cloudtrain.prices.table import rows
from cloudtrain.providers import extras
from cloudtrain.providers.azure import check, retail_prices
from cloudtrain.providers.azure.arm import Arm
from cloudtrain.providers.azure.endpoints import Endpoints
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.clock import FakeClock

from .answers import GPU, SUBSCRIPTION, T4_FAMILY, Answers, denied, log_in, log_out, sku, usage
from .conftest import Cloud
from .price_server import PriceServer, row, serving

T4 = "Standard_NC4as_T4_v3"
ACCOUNT, PROVIDER, HELD, SKUS, USAGES = (
    "Microsoft.Resources/subscriptions/read",
    "Microsoft.Resources/subscriptions/providers/read",
    "Microsoft.Authorization/permissions/read",
    "Microsoft.Compute/skus/read",
    "Microsoft.Compute/locations/usages/read",
)
PLAIN = {"displayName": "Research", "state": "Enabled", "subscriptionPolicies": {"quotaId": "PayAsYouGo_2014-09-01"}}

Look = Callable[..., list[Finding]]


@pytest.fixture
def arm() -> Answers:
    return Answers(
        {
            ACCOUNT: PLAIN,
            PROVIDER: {"registrationState": "Registered"},
            HELD: {"value": [{"actions": ["*"], "notActions": []}]},
            SKUS: {"value": [sku(T4, 4, 28, T4_FAMILY, "1", capabilities=GPU)]},
            USAGES: {
                "value": [
                    usage("cores", 0, 10, "Total Regional vCPUs"),
                    usage("lowPriorityCores", 0, 3, "Total Regional Low-priority vCPUs"),
                    usage("standardNCASv3_T4Family", 4, 8, "T4 vCPUs"),
                ]
            },
        }
    )


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PriceServer]:
    log_in(monkeypatch, tmp_path)
    monkeypatch.setattr(retail_prices, "PAUSE_S", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        server.rows = [row(T4, 0.5)]
        monkeypatch.setenv("CLOUDTRAIN_AZURE_PRICES_URL", server.url)
        yield server


@pytest.fixture
def look(arm: Answers, clock: FakeClock, tmp_path: Path, prices: PriceServer) -> Look:
    def findings(machine: MachineSpec | None = None) -> list[Finding]:
        found = list(check.findings(ProviderSettings(tmp_path / "home", clock, rows, machine), arm))
        assert [finding for finding in found if not finding.ok and not finding.hint] == []
        return found

    return findings


def about(found: list[Finding], subject: str) -> list[Finding]:
    return [finding for finding in found if finding.subject == subject]


def wanting(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if not finding.ok]


def machine(*types: str, market: Market = Market.ON_DEMAND, regions: tuple[str, ...] = ("eastus",)) -> MachineSpec:
    return MachineSpec("m", "azure", regions=regions, instance_types=types, market=market)


def test_all_is_well(look: Look, arm: Answers) -> None:
    found = look(machine(T4))
    assert wanting(found) == []
    assert [finding.subject for finding in found] == [
        *("sdk", "credentials", "subscription"),
        *["resource provider"] * 4,
        *("permissions", "a machine's own end", "prices", "size"),
        *["quota"] * 2,
    ]
    assert about(found, "subscription")[0].message == f"Research ({SUBSCRIPTION}) is enabled"
    assert about(found, "size")[0].message == f"{T4} may be had in eastus"
    assert [finding.message for finding in about(found, "quota")] == [
        "4 of 8 T4 vCPUs used in eastus",
        "0 of 10 Total Regional vCPUs used in eastus",
    ]


def test_nothing_is_made(look: Look, arm: Answers) -> None:
    look()
    assert set(arm.named()) == {ACCOUNT, PROVIDER, HELD, SKUS, USAGES}
    assert {path.rpartition("/")[2] for act, path, _ in arm.asked if act == PROVIDER} == {
        "Microsoft.Compute",
        "Microsoft.Network",
        "Microsoft.ComputeSchedule",
        "Microsoft.DevTestLab",
    }


def test_a_missing_library_ends_the_look(look: Look, arm: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    [sdk] = look()
    assert (sdk.ok, sdk.hint) == (False, "pip install 'cloudtrain[azure]'")
    assert arm.asked == []


def test_a_missing_login_ends_the_look(look: Look, arm: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log_out(monkeypatch, tmp_path)
    found = look()
    assert [finding.subject for finding in found] == ["sdk", "credentials"]
    assert found[-1].hint == "az login"
    assert arm.asked == []


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("AZURE_CLIENT_SECRET", "with a secret"),
        ("AZURE_CLIENT_CERTIFICATE_PATH", "with a certificate"),
        ("AZURE_FEDERATED_TOKEN_FILE", "by workload identity federation"),
    ],
)
def test_an_application_s_login_is_named_without_its_secret(
    look: Look, monkeypatch: pytest.MonkeyPatch, name: str, how: str
) -> None:
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    monkeypatch.setenv(name, "very-secret")
    found = look()
    assert about(found, "credentials")[0].message.endswith(f"the application 0000-client, {how}")
    assert "very-secret" not in repr(found)


def test_whose_az_login_it_is(look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log_out(monkeypatch, tmp_path)
    (tmp_path / "azure").mkdir()
    profile = tmp_path / "azure" / "azureProfile.json"
    chosen = {"isDefault": True, "user": {"name": "alice@example.org", "type": "user"}}
    profile.write_text(json.dumps({"subscriptions": [{"user": {"name": "bob"}}, chosen]}), encoding="utf-8-sig")
    assert about(look(), "credentials")[0].message == f"found: {profile}: az login of alice@example.org"
    profile.write_text("{")
    assert about(look(), "credentials")[0].message == f"found: {profile}: az login"


def test_without_a_subscription_nothing_else_is_looked_at(look: Look, arm: Answers) -> None:
    arm.by_act[ACCOUNT] = NotSetUpError("No Azure subscription is set on this computer", "az account set --subscription NAME")
    found = look()
    assert [finding.subject for finding in found] == ["sdk", "credentials", "subscription"]
    assert found[-1].hint == "az account set --subscription NAME"


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("Disabled", "is disabled: Azure lets nobody change anything in it"),
        ("Deleted", "is deleted: Azure lets nobody change anything in it"),
        ("PastDue", "is PastDue"),
        ("Warned", "is Warned"),
        ("", "is in a state Azure does not name"),
    ],
)
def test_a_subscription_that_is_not_well_ends_the_look(look: Look, arm: Answers, state: str, told: str) -> None:
    arm.by_act[ACCOUNT] = {**PLAIN, "state": state}
    found = look()
    assert found[-1].subject == "subscription"
    assert found[-1].message == f"Research ({SUBSCRIPTION}) {told}"


@pytest.mark.parametrize(
    ("quota_id", "kind"),
    [("AzureForStudents_2018-01-01", "Azure for Students"), ("FreeTrial_2014-09-01", "a free trial")],
)
def test_a_student_is_told_where_to_begin(look: Look, arm: Answers, quota_id: str, kind: str) -> None:
    arm.by_act[ACCOUNT] = {**PLAIN, "subscriptionPolicies": {"quotaId": quota_id}}
    [subscription] = about(look(), "subscription")
    assert subscription.ok
    assert subscription.message.endswith(f"it is {kind}, whose quota is not raised: begin with azure-b2s")


@pytest.mark.parametrize("state", ["NotRegistered", "Unregistered", "Registering"])
def test_a_resource_provider_that_is_missing_is_named_with_its_line(look: Look, arm: Answers, state: str) -> None:
    arm.by_act[PROVIDER] = lambda path, query: {"registrationState": state if "DevTestLab" in path else "Registered"}
    [missing] = wanting(look(machine(T4)))
    assert missing.message.startswith("Microsoft.DevTestLab is ")
    assert missing.hint == "az provider register --namespace Microsoft.DevTestLab"


def test_permissions_that_are_lacking_are_named(look: Look, arm: Answers) -> None:
    arm.by_act[HELD] = {"value": [{"actions": ["*"], "notActions": ["Microsoft.Compute/virtualMachines/write"]}]}
    [lacking] = wanting(look(machine(T4)))
    assert "are not held: Microsoft.Compute/virtualMachines/write" in lacking.message


def test_a_size_that_is_not_to_be_had(look: Look) -> None:
    [missing] = wanting(look(machine("Standard_NC40ads_H100_v5")))
    assert missing.message == "Standard_NC40ads_H100_v5 is not to be had in eastus for this subscription"
    assert missing.hint.startswith("See why: az vm list-skus --location eastus --size Standard_NC40ads_H100_v5")
    [retired] = wanting(look(machine("Standard_NC6s_v3")))
    assert "retired" in retired.message


def test_quota_that_is_too_small_is_said_in_numbers_with_the_link(look: Look, arm: Answers) -> None:
    arm.by_act[USAGES] = {"value": [usage("cores", 0, 10), usage("standardNCASv3_T4Family", 6, 8, "T4 vCPUs")]}
    [short] = wanting(look(machine(T4)))
    assert short.message == f"6 of 8 T4 vCPUs used in eastus; {T4} needs 4"
    assert short.hint.startswith("Ask for 10: https://portal.azure.com/#view/Microsoft_Azure_Capacity")


def test_without_a_machine_config_both_markets_are_looked_at(look: Look) -> None:
    [short] = wanting(look())
    assert short.message == f"0 of 3 Total Regional Low-priority vCPUs used in eastus; {T4} needs 4"
    assert len(about(look(), "quota")) == 3


def test_a_spot_config_counts_where_spot_machines_do(look: Look) -> None:
    [quota] = about(look(machine(T4, market=Market.SPOT)), "quota")
    assert not quota.ok


def test_limits_that_may_not_be_looked_at_are_not_known(look: Look, arm: Answers) -> None:
    arm.by_act[USAGES] = denied(USAGES)
    [unknown] = wanting(look(machine(T4)))
    assert unknown.subject == "quota"
    assert "it is not known" in unknown.message


def test_prices_that_cannot_be_read_are_the_table_s(look: Look, prices: PriceServer) -> None:
    prices.statuses = [500]
    [missing] = wanting(look(machine(T4)))
    assert missing.message.endswith("prices are those of the dated table")


def test_another_cloud_has_no_public_list(look: Look, arm: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDTRAIN_AZURE_PRICES_URL")
    arm.endpoints = Endpoints("https://login.example", "https://management.example", "https://portal.example")
    [prices] = about(look(machine(T4)), "prices")
    assert prices.ok
    assert "dated table" in prices.message


class TestOnThePretendCloud:
    """The same over TLS, each request and reply held to Microsoft's own models."""

    def test_all_is_well(
        self, cloud: Cloud, machine: MachineSpec, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLOUDTRAIN_AZURE_PRICES_URL", cloud.azure.prices_url)
        settings = ProviderSettings(tmp_path / "home", clock, rows, machine)
        assert wanting(list(check.findings(settings, Arm(settings)))) == []

    def test_what_azure_says_of_a_bad_secret(
        self, cloud: Cloud, machine: MachineSpec, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong-secret")
        settings = ProviderSettings(tmp_path / "home", clock, rows, machine)
        found = check.findings(settings, Arm(settings))
        assert [finding.subject for finding in found] == ["sdk", "credentials", "subscription"]
        assert found[-1].message.startswith("Azure gave no access token")
        assert "wrong-secret" not in repr(found)

    def test_quota_providers_and_sizes_are_read(
        self, cloud: Cloud, machine: MachineSpec, clock: FakeClock, tmp_path: Path
    ) -> None:
        cloud.azure.account.registered.discard("Microsoft.ComputeSchedule")
        cloud.azure.set_quota("standardNCASv3_T4Family", 0)
        settings = ProviderSettings(tmp_path / "home", clock, rows, replace(machine, regions=("eastus",)))
        found = list(check.findings(settings, Arm(settings)))
        assert [each.message for each in wanting(about(found, "resource provider"))] == [
            "Microsoft.ComputeSchedule is not registered; the first launch would register it"
        ]
        assert [each.message for each in wanting(about(found, "quota"))] == [
            f"0 of 0 Standard NCASv3_T4 Family vCPUs used in eastus; {T4} needs 4"
        ]
        assert not [name for name in cloud.named() if name.endswith(("PUT", "register", "DELETE"))]
