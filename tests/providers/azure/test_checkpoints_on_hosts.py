"""A job's outputs on their way: from a machine that was rented for them, by its own identity, to the next machine."""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.clock import SystemClock
from cloudtrain.model.instance import Instance, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, SshSettings
from cloudtrain.providers.azure.provider import AzureProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.remote import guest_archive
from cloudtrain.testing.playground.azure import AzureCloud
from cloudtrain.testing.playground.azure.account import CLIENT, TENANT
from cloudtrain.testing.playground.hypervisor import LocalHypervisor, open_hypervisor

from .conftest import HERE, make_container

TIMEOUT_S = 60
PLACE = {"url": "az://digits/data/runs/job/", "region": "eastus", "outputs": ["results"]}
JOB = {"command": "cat results/step || mkdir -p results; echo 7 > results/step", "python": None, "env": {}, "deadline": None}


@pytest.fixture
def hypervisor(tmp_path: Path) -> Iterator[LocalHypervisor]:
    made = open_hypervisor(tmp_path / "h", lambda id: None, kind="loopback")
    yield made
    made.close()


@pytest.fixture
def azure(
    monkeypatch: pytest.MonkeyPatch, nobody_is_logged_in: Path, read_once: Path, hypervisor: LocalHypervisor
) -> Iterator[AzureCloud]:
    monkeypatch.setenv("CLOUDTRAIN_CACHE", str(read_once))
    with AzureCloud(hypervisor) as azure:
        for name, value in {
            "REQUESTS_CA_BUNDLE": str(azure.certificate),
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_CLIENT_SECRET": "playground",
            "AZURE_SUBSCRIPTION_ID": azure.subscription,
        }.items():
            monkeypatch.setenv(name, value)
        yield azure
        assert [event for event in azure.account.events if "broke" in event] == []


@pytest.fixture
def machine(azure: AzureCloud) -> MachineSpec:
    ssh = SshSettings(allow_from=(HERE,))
    return MachineSpec(
        "azure-b2s", "azure", regions=("eastus",), resource_manager_url=azure.url, authority_url=azure.url, ssh=ssh
    )


@pytest.fixture
def provider(azure: AzureCloud, machine: MachineSpec, tmp_path: Path) -> AzureProvider:
    return AzureProvider(ProviderSettings(tmp_path / "home", SystemClock(), lambda name: (), machine))


@pytest.fixture
def rent(azure: AzureCloud, machine: MachineSpec, provider: AzureProvider) -> Callable[[str], Instance]:
    """Rent a machine for the job."""
    azure.account.allowed_scopes.add(make_container(azure, provider._account.arm))

    def launch(token: str) -> Instance:
        lease = Lease((SystemClock().now() + timedelta(hours=2)).replace(microsecond=0), 0.05)
        offer = Offer("azure", "Standard_B2s", "eastus", usd_per_hour=0.0416)
        order = LaunchOrder(token, machine, offer, lease, "Alice@laptop")
        return provider.launch(replace(order, checkpoints="az://digits/data/runs/"))

    return launch


def on(hypervisor: LocalHypervisor, name: str, command: str, stdin: bytes = b"") -> str:
    """Run a command of root's on a machine; `$G` is the guest."""
    whole = f'G="${{CLOUDTRAIN_GUEST_ROOT:-}}/tmp/guest.pyz"; R="${{CLOUDTRAIN_GUEST_ROOT:-}}/tmp/run"; {command}'
    done = hypervisor.run_in(name, ["sh", "-c", whole], stdin=stdin, timeout=TIMEOUT_S)
    assert done.returncode == 0, done
    return done.stdout.decode()


def ran(hypervisor: LocalHypervisor, name: str) -> str:
    """Bring what lies at its place, run the job to its end, and return its log."""
    on(hypervisor, name, 'cat > "$G"; mkdir -p "$R/work"', guest_archive.build())
    restored = on(hypervisor, name, 'python3 "$G" restore "$R/work"', json.dumps({"checkpoints": PLACE, "env": {}}).encode())
    assert json.loads(restored.splitlines()[-1]) == {"event": "ready"}
    job = json.dumps({**JOB, "grace_s": 5, "sample_every_s": 60, "checkpoints": PLACE})
    on(hypervisor, name, f'echo {shlex.quote(job)} > "$R/job.json"; echo "{{}}" | python3 "$G" start "$R"')
    return on(hypervisor, name, 'python3 "$G" follow "$R"')


def test_what_one_machine_left_the_next_goes_on_from(
    azure: AzureCloud, hypervisor: LocalHypervisor, provider: AzureProvider, rent: Callable[[str], Instance]
) -> None:
    first = rent("ct-first")
    assert "7" not in [line.partition(" ")[2] for line in ran(hypervisor, first.ref.id).splitlines()]
    held = azure._router.blobs._containers["digits", "data"].blobs
    assert {name: blob.content for name, blob in held.items()} == {"runs/job/results/step": b"7\n"}
    provider.terminate(first.ref)
    azure.advance(60)
    second = rent("ct-second")
    assert "7" in [line.partition(" ")[2] for line in ran(hypervisor, second.ref.id).splitlines()]
    assert azure.violations() == []


def test_a_machine_reaches_its_own_container_and_no_other_thing(
    azure: AzureCloud, hypervisor: LocalHypervisor, rent: Callable[[str], Instance], provider: AzureProvider
) -> None:
    make_container(azure, provider._account.arm, "other")
    name = rent("ct-first").ref.id
    on(hypervisor, name, 'cat > "$G"; mkdir -p "$R/work"', guest_archive.build())
    ask = (
        "import sys; sys.path.insert(0, sys.argv[1]); from guest import folder\n"
        "try: print(len(list(folder.folder_at(sys.argv[2], '', dict(__import__('os').environ)).names())))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = [
        on(hypervisor, name, f'python3 -c {shlex.quote(ask)} "$G" az://digits/{container}/') for container in ("data", "other")
    ]
    assert said == ["0\n", "NotYetError Blob Storage refuses: AuthorizationPermissionMismatch\n"]
