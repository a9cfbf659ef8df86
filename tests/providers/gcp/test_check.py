"""The doctor: what is missing is named, with the line to type, and nothing is made or billed."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.config.assets import asset_folder
from cloudtrain.config.machine import list_machines
from cloudtrain.model.errors import NotSetUpError
from cloudtrain.model.finding import Finding
from cloudtrain.model.spec import MachineSpec, Market
from cloudtrain.prices.table import rows
from cloudtrain.providers import extras
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.gcp import check
from cloudtrain.providers.gcp.permissions import EVERYDAY
from cloudtrain.providers.gcp.translate import refused
from cloudtrain.testing.clock import FakeClock

from .answers import Answers, denied, log_in

IOWA = "us-central1"
PROJECT, REGION, PRICES, IMAGES, NEWER, HELD = (
    "compute.projects.get",
    "compute.regions.get",
    "cloudbilling.services.skus.list",
    "compute.images.list",
    "cloudquotas.projects.locations.services.quotaInfos.get",
    "cloudresourcemanager.projects.testIamPermissions",
)
TPUS = "tpu.projects.locations.queuedResources.list"
SERVICES = {PRICES: "prices", NEWER: "limits of the newer GPUs", IMAGES: "images"}

Look = Callable[..., list[Finding]]


class Account(Answers):
    """A project where all is well; `holds` are the permissions its login has."""

    holds = frozenset(EVERYDAY)

    def call(self, method_id: str, method: str, path: str, *, query=None, body=None) -> dict[str, Any]:
        if method_id == HELD and HELD not in self.by_method:
            self.asked.append((method_id, path, {}))
            return {"permissions": [each for each in body["permissions"] if each in self.holds]}
        return super().call(method_id, method, path, query=query, body=body)


def quotas(**metrics: float) -> Mapping[str, Any]:
    return {"quotas": [{"metric": name, "limit": limit, "usage": 0.0} for name, limit in metrics.items()]}


@pytest.fixture
def rest() -> Account:
    return Account(
        {
            PROJECT: quotas(GPUS_ALL_REGIONS=8),
            REGION: quotas(NVIDIA_L4_GPUS=4, NVIDIA_T4_GPUS=0, CPUS=72, SSD_TOTAL_GB=500),
            PRICES: {},
            IMAGES: {},
            NEWER: {"dimensionsInfos": []},
        }
    )


@pytest.fixture
def look(rest: Account, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    log_in(monkeypatch, tmp_path)

    def findings(machine: MachineSpec | None = None) -> list[Finding]:
        found = list(check.findings(ProviderSettings(tmp_path / "home", clock, rows, machine), rest))
        assert [finding for finding in found if not finding.ok and not finding.hint] == []
        return found

    return findings


def about(found: list[Finding], subject: str) -> list[Finding]:
    return [finding for finding in found if finding.subject == subject]


def wanting(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if not finding.ok]


def machine(*types: str, market: Market = Market.ON_DEMAND) -> MachineSpec:
    return MachineSpec("m", "gcp", regions=("us-central1",), instance_types=types, market=market)


def test_all_is_well(look: Look, rest: Account) -> None:
    found = look()
    assert wanting(found) == []
    subjects = ["sdk", "credentials", "project", "prices", "limits of the newer GPUs", "images", "permissions"]
    assert [finding.subject for finding in found] == [*subjects, *["quota"] * 3]
    assert about(found, "project")[0].message == "my-project: Compute Engine answers"
    assert about(found, "permissions")[0].message == f"all {len(EVERYDAY)} that cloudtrain needs are held"
    assert [finding.message for finding in about(found, "quota")] == [
        "0 of 4 L4 GPUs used in us-central1",
        "0 of 8 GPUs used in all regions",
        "0 of 500 GB of SSD disk used in us-central1",
    ]


def test_nothing_is_made(look: Look, rest: Account) -> None:
    look()
    assert set(rest.named()) == {PROJECT, REGION, PRICES, IMAGES, NEWER, HELD}


def test_a_missing_library_ends_the_look(look: Look, rest: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    [sdk] = look()
    assert (sdk.ok, sdk.hint) == (False, "pip install 'cloudtrain[gcp]'")
    assert rest.asked == []


def test_a_missing_login_ends_the_look(look: Look, rest: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_ACCESS_TOKEN")
    found = look()
    assert [finding.subject for finding in wanting(found)] == ["credentials"]
    assert found[-1].hint == "gcloud auth application-default login"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    assert "absent.json" in look()[-1].message
    assert rest.asked == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"type": "service_account", "client_email": "me@p.iam", "private_key": "SECRET"},
            "a service account's key of me@p.iam",
        ),
        ({"type": "authorized_user", "account": "ann@x.org", "refresh_token": "SECRET"}, "a person's login of ann@x.org"),
        ({"type": "authorized_user", "refresh_token": "SECRET"}, "a person's login"),
        ({"type": "odd"}, "a login"),
        (
            {
                "type": "impersonated_service_account",
                "service_account_impersonation_url": "https://x/me@p.iam:generateAccessToken",
            },
            "a login in the name of a service account, in the name of me@p.iam",
        ),
    ],
)
def test_whose_login_it_is_is_said_and_nothing_secret(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, str], said: str
) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_ACCESS_TOKEN")
    file = tmp_path / "login.json"
    file.write_text(json.dumps(content))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    found = look()
    assert about(found, "credentials")[0].message == f"found: {file}: {said}"
    assert "SECRET" not in repr(found)


def test_in_whose_name_a_token_asks_is_said(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "me@p.iam")
    message = about(look(), "credentials")[0].message
    assert message == "found: CLOUDSDK_AUTH_ACCESS_TOKEN: an access token, in the name of me@p.iam"


def disabled(method_id: str, service: str) -> Exception:
    details = [{"reason": "SERVICE_DISABLED", "metadata": {"service": service}}]
    reply = {"error": {"code": 403, "message": f"{service} is disabled", "details": details}}
    return refused(method_id, "projects/my-project", 403, reply)


def test_compute_engine_that_is_not_switched_on_ends_the_look(look: Look, rest: Account) -> None:
    rest.by_method[PROJECT] = disabled(PROJECT, "compute.googleapis.com")
    found = look()
    assert [finding.subject for finding in wanting(found)] == ["project"]
    assert found[-1].hint == "Switch it on: gcloud services enable compute.googleapis.com --project my-project"
    assert rest.named() == [PROJECT]


def test_no_project_ends_the_look(look: Look, rest: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> str:
        raise NotSetUpError("No Google Cloud project is set on this computer", "gcloud config set project PROJECT")

    monkeypatch.setattr(Account, "project", property(none), raising=False)
    assert [(finding.subject, finding.hint) for finding in wanting(look())] == [
        ("project", "gcloud config set project PROJECT")
    ]


@pytest.mark.parametrize("method_id", SERVICES)
def test_a_service_that_is_not_switched_on_is_named_with_its_line(look: Look, rest: Account, method_id: str) -> None:
    service = f"{method_id.partition('.')[0]}.googleapis.com"
    rest.by_method[method_id] = disabled(method_id, service)
    [finding] = [each for each in wanting(look()) if each.subject != "quota"]
    assert finding.subject == SERVICES[method_id]
    assert finding.hint == f"Switch it on: gcloud services enable {service} --project my-project"


def test_permissions_that_are_not_held_are_named(look: Look, rest: Account) -> None:
    rest.holds = frozenset(EVERYDAY) - {"compute.instances.create", "compute.firewalls.create"}
    [finding] = wanting(look())
    assert finding.message == f"2 of {len(EVERYDAY)} are not held: compute.firewalls.create, compute.instances.create"
    assert "docs/providers/gcp.md" in finding.hint


def test_permissions_that_cannot_be_looked_at_are_said(look: Look, rest: Account) -> None:
    rest.by_method[HELD] = disabled(HELD, "cloudresourcemanager.googleapis.com")
    [finding] = wanting(look())
    assert finding.subject == "permissions"
    assert "gcloud services enable cloudresourcemanager.googleapis.com" in finding.hint


def test_the_quota_of_the_machine_that_is_wanted(look: Look, rest: Account) -> None:
    found = look(machine("n1-standard-4+nvidia-tesla-t4"))
    short = wanting(found)
    assert [finding.message for finding in short] == [
        "0 of 0 T4 GPUs used in us-central1; n1-standard-4+nvidia-tesla-t4 needs 1"
    ]
    assert short[0].hint == (
        "Ask for 1: https://console.cloud.google.com/iam-admin/quotas?project=my-project (filter: NVIDIA_T4_GPUS us-central1)"
    )
    assert "0 of 72 vCPUs used in us-central1" in [finding.message for finding in about(found, "quota")]


def test_newer_gpus_have_no_quota_in_a_new_project(look: Look, rest: Account) -> None:
    messages = [finding.message for finding in wanting(look(machine("a3-highgpu-8g")))]
    assert messages == ["0 H100 GPUs allowed in us-central1; a3-highgpu-8g needs 8"]


def test_a_quota_that_may_not_be_looked_at_is_not_called_small(look: Look, rest: Account) -> None:
    rest.by_method[REGION] = denied(REGION)
    [finding] = wanting(look())
    assert finding.subject == "quota"
    assert finding.message.endswith("it is not known")


@pytest.mark.parametrize(
    "config", [each for each in list_machines(folders=[asset_folder("configs")])[0] if each.provider == "gcp"]
)
def test_every_shipped_config_has_a_quota_to_look_at(look: Look, rest: Account, config: MachineSpec) -> None:
    rest.by_method[TPUS] = {}
    found = about(look(config), "quota")
    if "tpu" in config.name:
        assert [finding.message for finding in found if "the limits of TPUs" in finding.message]
    else:
        assert len(found) >= 2


def test_the_tpu_service_is_looked_at_where_a_tpu_is_wanted_and_only_there(look: Look, rest: Account) -> None:
    rest.by_method[TPUS] = disabled(TPUS, "tpu.googleapis.com")
    [finding] = wanting(look(machine("v6e-1")))
    assert finding.subject == "TPU machines"
    assert finding.message.endswith("none can be rented")
    assert "gcloud services enable tpu.googleapis.com" in finding.hint
    assert about(look(), "TPU machines") == []
