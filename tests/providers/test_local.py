import json
import os
import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.model.errors import InstanceNotFoundError, ProviderError, ProviderUnavailableError
from cloudtrain.model.instance import InstanceRef, InstanceState, LaunchOrder, LocalEndpoint
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import Resources
from cloudtrain.providers.base import Pausable, ProviderSettings
from cloudtrain.providers.gpu_models import Gpu, model_name, most_alike, sold_size_gib
from cloudtrain.providers.local import provider as local
from cloudtrain.providers.local.hardware import gpus, memory_gib
from cloudtrain.providers.local.provider import LocalProvider, create
from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.provider_contract import ProviderContract

T4 = Gpu("T4", 16.0, "7.5")


@pytest.fixture
def provider(settings: ProviderSettings) -> LocalProvider:
    return create(settings)


@pytest.fixture
def order(provider: LocalProvider, make_order: Callable[..., LaunchOrder]) -> LaunchOrder:
    return make_order(provider.offers(Resources())[0])


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put an `nvidia-smi` of our own first on the path: a shell script."""

    def install(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return install


class TestContract(ProviderContract):
    """The law."""


def test_it_can_pause(provider: LocalProvider) -> None:
    assert isinstance(provider, Pausable)


def test_the_one_offer_is_this_computer(provider: LocalProvider) -> None:
    (offer,) = provider.offers(Resources())
    assert (offer.instance_type, offer.region, offer.usd_per_hour) == ("this-machine", "here", 0.0)
    assert offer.vcpus == os.cpu_count()
    assert 0.2 < offer.memory_gib < 100_000
    assert offer.memory_gib == memory_gib()


def test_two_equal_gpus_are_offered_and_an_odd_one_is_not(provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gpus", lambda: (Gpu("P100", 16.0, "6.0"), T4, T4))
    (offer,) = provider.offers(Resources(gpu="t4", gpus=2, gpu_memory_gb=16))
    assert (offer.gpu, offer.gpu_count, offer.gpu_memory_gib, offer.compute_capability) == ("T4", 2, 16.0, "7.5")
    assert provider.offers(Resources(gpus=3)) == ()


def test_a_need_for_a_gpu_is_not_met_without_one(provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gpus", lambda: ())
    assert provider.offers(Resources(gpus=1)) == ()
    assert len(provider.offers(Resources())) == 1


def test_the_driver_is_asked_what_gpus_there_are(smi) -> None:
    smi('echo "Tesla T4, 15360, 7.5"; echo "NVIDIA A100-SXM4-80GB, 81920, 8.0"; echo "NVIDIA GB10, [N/A], 12.1"')
    assert gpus() == (T4, Gpu("A100", 80.0, "8.0"))


def test_a_driver_too_old_for_the_compute_capability_is_asked_for_less(smi) -> None:
    smi('case "$*" in *compute_cap*) echo "not a valid field"; exit 2;; esac; echo "Tesla V100-SXM2-16GB, 16160"')
    assert gpus() == (Gpu("V100", 16.0, ""),)


@pytest.mark.parametrize("script", ["exit 9", "echo", "echo nonsense", "exec sleep 100"])
def test_a_driver_in_trouble_means_no_gpu(smi, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr("cloudtrain.providers.local.hardware.ASK_TIMEOUT_S", 0.05)
    smi(script)
    assert gpus() == ()


@pytest.mark.parametrize(
    ("driver_name", "model"),
    [
        ("Tesla T4", "T4"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("Tesla K80", "K80"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA A100-SXM4-40GB", "A100"),
        ("NVIDIA A100 80GB PCIe", "A100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 NVL", "H100NVL"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTXPRO6000"),
        ("NVIDIA GeForce RTX 3090", "RTX3090"),
    ],
)
def test_gpus_are_called_as_the_price_table_calls_them(driver_name: str, model: str) -> None:
    assert model_name(driver_name) == model


@pytest.mark.parametrize(("mib", "gib"), [(15360, 16), (23028, 24), (40960, 40), (81559, 80), (143771, 141), (24576, 24)])
def test_gpu_memory_is_counted_as_it_is_sold(mib: int, gib: int) -> None:
    assert sold_size_gib(mib / 1024) == gib


def test_no_gpus_are_alike() -> None:
    assert most_alike(()) == ()


def test_a_machine_is_a_folder_and_survives_the_process(
    provider: LocalProvider, order: LaunchOrder, settings: ProviderSettings
) -> None:
    launched = provider.launch(order)
    root = settings.home / "local-machines" / launched.ref.id
    assert launched.state is InstanceState.RUNNING
    assert launched.endpoint == LocalEndpoint(root)
    assert root.stat().st_mode & 0o777 == 0o700
    assert (root / "instance.json").stat().st_mode & 0o777 == 0o600
    assert create(settings).get(launched.ref) == launched
    assert [path.name for path in root.parent.iterdir()] == [launched.ref.id]


def test_two_processes_with_one_token_make_one_machine(settings: ProviderSettings, order: LaunchOrder, launch_twice) -> None:
    assert len(launch_twice(settings.home, order, "local")) == 1
    assert len(list((settings.home / "local-machines").iterdir())) == 1


def test_past_its_deadline_it_still_runs_and_shows_the_deadline(
    provider: LocalProvider, order: LaunchOrder, clock: FakeClock, job
) -> None:
    ref = provider.launch(order).ref
    clock.advance(3 * 3600)
    seen = provider.get(ref)
    assert (seen.state, seen.deadline) == (InstanceState.RUNNING, order.lease.deadline)
    assert seen.deadline < clock.now()


def test_terminate_ends_the_job_and_removes_the_folder(provider: LocalProvider, order: LaunchOrder, job) -> None:
    launched = provider.launch(order)
    process = job(launched.endpoint.root)
    provider.terminate(launched.ref)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert not launched.endpoint.root.exists()


def test_stop_ends_the_job_and_keeps_the_folder(provider: LocalProvider, order: LaunchOrder, clock: FakeClock, job) -> None:
    launched = provider.launch(order)
    root = launched.endpoint.root
    (root / "kept").write_text("kept")
    process = job(root)
    provider.stop(launched.ref)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert (provider.get(launched.ref).state, provider.get(launched.ref).deadline) == (InstanceState.STOPPED, None)
    with pytest.raises(ProviderError, match="stopped"):
        provider.extend(launched.ref, order.lease)
    provider.start(launched.ref, Lease(clock.now() + timedelta(hours=1), 0.0))
    assert (root / "kept").read_text() == "kept"


@pytest.mark.parametrize("id", ["../precious", "precious", "", ".", "local-", "local-00000000000g", "local-000000000000/.."])
def test_an_id_that_is_none_of_ours_never_becomes_a_path(
    provider: LocalProvider, settings: ProviderSettings, order: LaunchOrder, id: str
) -> None:
    provider.launch(order)
    for folder in (settings.home / "precious", settings.home / "local-machines" / "precious"):
        folder.mkdir()
        shutil.copy(next(settings.home.glob("local-machines/local-*/instance.json")), folder)
    before = sorted(settings.home.rglob("*"))
    with pytest.raises(InstanceNotFoundError):
        provider.get(InstanceRef("local", id))
    provider.terminate(InstanceRef("local", id))
    assert sorted(settings.home.rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"id": 3}'])
def test_a_damaged_record_is_said_and_hides_no_other_machine(
    provider: LocalProvider, order: LaunchOrder, make_order, content: bytes
) -> None:
    damaged, sound = provider.launch(order), provider.launch(make_order(order.offer, "another-token"))
    (damaged.endpoint.root / "instance.json").write_bytes(content)
    with pytest.raises(ProviderUnavailableError, match="damaged"):
        provider.get(damaged.ref)
    assert {i.ref.id: i.state for i in provider.list_owned()} == {
        damaged.ref.id: InstanceState.UNKNOWN,
        sound.ref.id: InstanceState.RUNNING,
    }
    provider.terminate(damaged.ref)
    assert [i.ref for i in provider.list_owned()] == [sound.ref]


def test_a_folder_that_cannot_be_removed_is_said_and_left_over(
    provider: LocalProvider, order: LaunchOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = provider.launch(order)

    def refuse(folder: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(folder))

    monkeypatch.setattr("cloudtrain.providers.folders.remove_folder", refuse)
    with pytest.raises(ProviderError, match="cannot be removed") as raised:
        provider.terminate(launched.ref)
    assert str(launched.endpoint.root) in raised.value.hint
    with pytest.raises(InstanceNotFoundError):
        provider.get(launched.ref)
    assert [leftover.id for leftover in provider.leftovers()] == [str(launched.endpoint.root)]
    monkeypatch.undo()
    provider.terminate(launched.ref)
    assert list(provider.leftovers()) == []


def test_a_disk_that_refuses_is_an_error_in_words(
    provider: LocalProvider, order: LaunchOrder, settings: ProviderSettings
) -> None:
    settings.home.mkdir()
    (settings.home / "local-machines").write_text("a file where a folder belongs")
    with pytest.raises(ProviderUnavailableError, match="local-machines"):
        provider.launch(order)


def test_a_failed_launch_leaves_nothing(provider: LocalProvider, order: LaunchOrder, settings: ProviderSettings) -> None:
    settings.home.mkdir()
    folder = settings.home / "local-machines"
    folder.mkdir()
    ref = provider.launch(order).ref
    provider.terminate(ref)
    (folder / ref.id).write_text("a file in the machine's place")
    with pytest.raises(ProviderUnavailableError):
        provider.launch(order)
    assert [path.name for path in folder.iterdir()] == [ref.id]


def test_check_looks_at_python_disk_installer_and_gpu(provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gpus", lambda: (T4,))
    findings = {finding.subject: finding for finding in provider.check()}
    assert set(findings) == {"python", "disk", "installer", "gpu"}
    assert findings["gpu"].message == "T4 (16 GiB)"


def test_check_says_what_is_missing(provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gpus", lambda: ())
    monkeypatch.setattr(local, "is_installed", lambda module: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(local, "ROOM_GIB", 10.0**9)
    wrong = {finding.subject: finding.hint for finding in provider.check() if not finding.ok}
    assert set(wrong) == {"disk", "installer"}
    assert all(wrong.values())


def test_the_record_is_json_with_the_order_in_it(provider: LocalProvider, order: LaunchOrder) -> None:
    record = json.loads((provider.launch(order).endpoint.root / "instance.json").read_text())
    assert (record["token"], record["name"], record["owner"]) == (order.token, "mine", "alice-laptop")
    assert record["deadline"] == order.lease.deadline.isoformat()
