"""A project that Google does not know: which it is, who names it, what to type; and nothing is concluded from its absence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.model.errors import InstanceNotFoundError, PermissionDeniedError
from cloudtrain.model.instance import InstanceRef, LaunchOrder
from cloudtrain.model.spec import MachineSpec
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.check import findings
from cloudtrain.providers.gcp.credentials import Login, project_source
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.providers.gcp.translate import is_absent, missing_project, refused
from cloudtrain.testing.clock import FakeClock

from .conftest import ZONE, Cloud

GONE = InstanceRef("gcp", "ct-token-1", "us-central1", ZONE)
Provided = Callable[..., GcpProvider]


@pytest.fixture
def provided(machine: MachineSpec, clock: FakeClock, tmp_path: Path) -> Provided:
    def make(**about: str) -> GcpProvider:
        return GcpProvider(ProviderSettings(tmp_path / "home", clock, lambda name: (), replace(machine, **about)))

    return make


def test_one_that_the_machine_config_names_is_said_with_the_config(
    cloud: Cloud, provided: Provided, order: LaunchOrder
) -> None:
    provider = provided(project="nope")
    for ask in (lambda: provider.launch(order), lambda: provider.get(GONE), provider.list_owned, provider.leftovers):
        with pytest.raises(PermissionDeniedError, match="knows no project nope") as caught:
            ask()
        assert "`project:` of the machine config gcp-mine" in caught.value.message
        assert caught.value.hint.splitlines() == [
            "Look which there are: gcloud projects list",
            "Correct `project:` in gcp-mine",
        ]
        assert "mistake" not in str(caught.value)
    assert cloud.gcp.machines() == []


def test_a_machine_is_not_gone_because_its_project_is_not_known(cloud: Cloud, provided: Provided) -> None:
    with pytest.raises(InstanceNotFoundError):
        provided().get(GONE)
    with pytest.raises(PermissionDeniedError):
        provided(project="nope").terminate(GONE)


@pytest.mark.parametrize(
    ("variable", "line"),
    [
        ("GOOGLE_CLOUD_PROJECT", "export GOOGLE_CLOUD_PROJECT=PROJECT"),
        ("CLOUDSDK_CORE_PROJECT", "export CLOUDSDK_CORE_PROJECT=PROJECT"),
    ],
)
def test_one_of_the_environment_is_said_with_the_variable(
    cloud: Cloud, provided: Provided, monkeypatch: pytest.MonkeyPatch, variable: str, line: str
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    monkeypatch.setenv(variable, "nope")
    with pytest.raises(PermissionDeniedError, match=f"{variable} in the environment names it") as caught:
        provided().list_owned()
    assert line in caught.value.hint


def test_one_of_gcloud_s_configuration_is_said(
    cloud: Cloud, provided: Provided, nobody_is_logged_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    (nobody_is_logged_in / "configurations").mkdir(parents=True)
    (nobody_is_logged_in / "configurations" / "config_default").write_text("[core]\nproject = nope\n")
    with pytest.raises(PermissionDeniedError, match="gcloud's configuration names it") as caught:
        provided().list_owned()
    assert "gcloud config set project PROJECT" in caught.value.hint


def test_one_of_the_login_s_own_file_is_said(nobody_is_logged_in: Path) -> None:
    assert project_source(Login("robot.json"))[0] == "the login in robot.json"
    assert project_source(None)[0] == "nothing"


def test_the_look_before_money_says_it_too(cloud: Cloud, machine: MachineSpec, make_account: Callable[..., Account]) -> None:
    account = make_account(replace(machine, project="nope"))
    last = findings(account.settings, account.rest)[-1]
    assert (last.ok, last.subject) == (False, "project")
    assert "knows no project nope" in last.message
    assert "gcloud projects list" in last.hint


def test_another_project_than_ours_is_told_as_google_says_it() -> None:
    said = {
        "error": {"code": 404, "message": "The resource 'projects/theirs' was not found", "errors": [{"reason": "notFound"}]}
    }
    error = refused("compute.networks.get", "projects/theirs/global/networks/n", 404, said)
    assert (missing_project(error), is_absent(error)) == ("theirs", False)
    assert isinstance(error, PermissionDeniedError)
    assert "gcloud projects list" in error.hint
    inside = {**said, "message": "The resource 'projects/ours/zones/z/instances/i' was not found"}
    error = refused("compute.instances.get", "projects/ours/zones/z/instances/i", 404, {"error": inside})
    assert (missing_project(error), is_absent(error)) == ("", True)
