"""An Azure that answers on loopback over TLS, empty for each test. What is sent to it is seen, and can go wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, SshSettings
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.arm import Arm
from cloudtrain.providers.azure.provider import AzureProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.operations import InThisProcess, Operations
from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.playground.azure import AzureCloud
from cloudtrain.testing.playground.azure.access import Assignment
from cloudtrain.testing.playground.azure.account import CLIENT, TENANT
from cloudtrain.testing.playground.azure.things import Machine
from tests.hypervisors import BootsNothing

REGION, SIZE, OTHER_SIZE = "eastus", "Standard_NC4as_T4_v3", "Standard_NC8as_T4_v3"
HERE = "198.51.100.7/32"
LOGINS = (
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLOUD_NAME",
    "AZURE_CONFIG_DIR",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_TENANT_ID",
    "AZURE_TOKEN_CREDENTIALS",
    "CLOUDTRAIN_DISABLE_INSTANCE_DISCOVERY",
    "CLOUDTRAIN_RESOURCE_MANAGER_URL",
    "CLOUDTRAIN_AZURE_PRICES_URL",
    "CURL_CA_BUNDLE",
    "IDENTITY_ENDPOINT",
    "MSI_ENDPOINT",
    "REQUESTS_CA_BUNDLE",
)


@dataclass
class Cloud:
    """The pretend Azure, and what was asked of it."""

    azure: AzureCloud
    hypervisor: BootsNothing

    def named(self) -> list[str]:
        """Return the methods that were called, in order."""
        return [record.name for record in self.azure.calls()]

    def counted(self, name: str) -> int:
        """Return how often a method was called."""
        return self.named().count(name)

    def fail(self, name: str, code: str = "", *, http: int = 0, after: bool = False, times: int = 1, match: str = "") -> None:
        """Let the next calls go wrong; without a code the line breaks."""
        service, _, method = name.partition(":")
        self.azure.faults.add(service, method, code=code, http=http, times=times, after=after, reset=not code, match=match)

    def machine(self) -> Machine:
        """Return the only machine there is."""
        (one,) = self.azure.machines()
        return one

    def assignments(self) -> list[Assignment]:
        """Return the roles that were given to somebody."""
        return list(self.azure._router.access.assignments.values())

    def group(self) -> dict[str, str]:
        """Return the tags of the only group there is."""
        (one,) = self.azure.account.groups.values()
        return one.tags


def make_container(azure: AzureCloud, arm: Arm, name: str = "data") -> str:
    """Make a container of the storage account `digits`, in somebody's group; return its path."""
    group = arm.below("resourceGroups/somebody-s")
    arm.call("w", "PUT", group, api="2022-09-01", body={"location": "eastus", "tags": {"cloudtrain-owner": "me"}})
    path = f"{group}/providers/Microsoft.Storage/storageAccounts/digits"
    body = {"location": "East US", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    arm.call("w", "PUT", path, api="2024-01-01", body=body)
    token = arm.credential.get_token("https://storage.azure.com/.default").token
    url, headers = f"{azure.url}/blob/digits/{name}?restype=container", {"Authorization": f"Bearer {token}"}
    assert requests.put(url, headers=headers, verify=str(azure.certificate), timeout=10).status_code == 201
    return f"{path}/blobServices/default/containers/{name}"


@pytest.fixture
def nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Take every login away and return the folder where the Azure CLI's would be."""
    for name in LOGINS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / ".azure"


@pytest.fixture(scope="session")
def read_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder where the pretend Azure keeps what it has read of Azure's own packages."""
    return tmp_path_factory.mktemp("azure-cache")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, nobody_is_logged_in: Path, clock: FakeClock, read_once: Path) -> Iterator[Cloud]:
    """Start an empty cloud and log in to it and nowhere else."""
    hypervisor = BootsNothing()
    monkeypatch.setenv("CLOUDTRAIN_CACHE", str(read_once))
    with AzureCloud(hypervisor, clock) as azure:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(azure.certificate))
        monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
        monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
        monkeypatch.setenv("AZURE_CLIENT_SECRET", "playground")
        monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", azure.subscription)
        monkeypatch.setenv("CLOUDTRAIN_AZURE_PRICES_URL", azure.prices_url)
        yield Cloud(azure, hypervisor)
        assert [event for event in azure.account.events if "broke" in event] == []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def machine(cloud: Cloud) -> MachineSpec:
    return MachineSpec(
        "azure-mine",
        "azure",
        regions=(REGION,),
        instance_types=(SIZE, OTHER_SIZE),
        disk_gb=100,
        resource_manager_url=cloud.azure.url,
        authority_url=cloud.azure.url,
        ssh=SshSettings(allow_from=(HERE,)),
    )


@pytest.fixture
def offer() -> Offer:
    return Offer("azure", SIZE, REGION, zone="eastus-1", usd_per_hour=0.526, beside_usd_per_hour=0.018, gpu="T4", gpu_count=1)


@pytest.fixture
def order(machine: MachineSpec, offer: Offer, clock: FakeClock) -> LaunchOrder:
    lease = Lease((clock.now() + timedelta(hours=2)).replace(microsecond=0), 0.544)
    return LaunchOrder("ct-token-1", machine, offer, lease, "Alice@laptop", disk_gb=100, run_id="run-7")


@pytest.fixture
def said() -> list[str]:
    """Return what the person was told beside an answer."""
    return []


@pytest.fixture
def operations() -> Operations:
    return InThisProcess()


@pytest.fixture
def make_account(
    tmp_path: Path, clock: FakeClock, said: list[str], operations: Operations
) -> Callable[[MachineSpec | None], Account]:
    def make(machine: MachineSpec | None) -> Account:
        settings = ProviderSettings(tmp_path / "home", clock, lambda name: (), machine, say=said.append, operations=operations)
        return Account.of(settings)

    return make


@pytest.fixture
def account(make_account: Callable[[MachineSpec | None], Account], machine: MachineSpec) -> Account:
    return make_account(machine)


@pytest.fixture
def provider(account: Account) -> AzureProvider:
    made = AzureProvider(account.settings)
    made._account = account
    return made


@pytest.fixture
def remains(cloud: Cloud) -> Callable[[], list[str]]:
    """Return what the cloud still holds that a launch may make."""

    def look() -> list[str]:
        cloud.azure.advance(300)  # what was deleted goes in its own time
        held = cloud.azure.account
        return sorted([*held.groups, *held.resources])

    return look
