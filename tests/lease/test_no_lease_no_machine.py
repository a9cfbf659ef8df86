"""Nothing is launched without a lease, and nobody is left to guess what the lease is when they asked for none."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloudtrain.cli.main import make_app
from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import MachineSpec, Resources
from cloudtrain.providers.base import Provider, ProviderSettings
from cloudtrain.providers.local.provider import LocalProvider
from cloudtrain.providers.memory import DictStore, MemoryProvider
from cloudtrain.testing.clock import NOON, FakeClock

from .conftest import fleet_of

A_DAY = "24 h 0 m"


def test_an_order_is_not_made_without_a_lease() -> None:
    (lease,) = [field for field in fields(LaunchOrder) if field.name == "lease"]
    assert (lease.default, lease.default_factory, lease.type) == (MISSING, MISSING, Lease)
    with pytest.raises(TypeError, match="lease"):
        LaunchOrder("ct-1", MachineSpec("lab", "memory"), offer=None, owner="me")  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("make", [lambda s: MemoryProvider(s, DictStore()), LocalProvider], ids=["memory", "local"])
def test_who_is_given_no_lease_makes_nothing(make: Callable[[ProviderSettings], Provider], tmp_path: Path) -> None:
    provider = make(ProviderSettings(tmp_path, FakeClock(), lambda _: ()))
    refuse_to_launch(provider, MachineSpec("lab", provider.name))
    assert list(provider.list_owned()) == []


def test_amazon_is_not_asked_for_a_machine_without_a_lease(tmp_path: Path) -> None:
    with fleet_of("loopback", tmp_path) as fleet:
        fleet.refuse_without_lease()
        assert fleet.cloud.machines() == []
        assert [call for call in fleet.cloud.calls() if call.action == "RunInstances"] == []


def refuse_to_launch(provider: Provider, machine: MachineSpec) -> None:
    # There is no second way in: an order is all that a launch takes.
    assert list(inspect.signature(provider.launch).parameters) == ["order"]
    lease = Lease(NOON + timedelta(hours=1), 1.0)
    order = LaunchOrder("ct-1", machine, provider.offers(Resources())[0], lease, "me")
    with pytest.raises(AttributeError, match="deadline"):
        provider.launch(replace(order, lease=None))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["memory", "local", "aws-g5"])
def test_plan_shows_the_longest_lifetime_that_nobody_asked_for(name: str, say: Callable[..., str]) -> None:
    said = say("plan", name, "--", "true")
    # Whoever is slow to say it has a minute less.
    assert f"(in {A_DAY}), set by the longest lifetime" in said or "(in 23 h 59 m), set by the longest lifetime" in said


@pytest.mark.parametrize("name", ["memory", "local"])
def test_start_shows_it_too(name: str, say: Callable[..., str]) -> None:
    said = say("start", name)
    try:
        assert "ends by" in said
        assert "(in 23 h 59 m)" in said or A_DAY in said
    finally:
        say("terminate", name, "--yes")


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Type a command that works, in a folder and with a home that are nobody's."""
    monkeypatch.setenv("CLOUDTRAIN_HOME", str(tmp_path / "home"))
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "CLOUDTRAIN_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        result = CliRunner().invoke(make_app(), list(words), prog_name="cloudtrain")
        assert result.exit_code == 0, result.output
        return result.output

    return run
