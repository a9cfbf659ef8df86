"""The pretend Azure, for a matrix."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudtrain.clock import SystemClock
from cloudtrain.providers.azure import role
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.arm import Arm
from cloudtrain.providers.azure.endpoints import find_endpoints
from cloudtrain.providers.azure.login import make_credential
from cloudtrain.providers.azure.provider import AzureProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.playground.azure import AzureCloud
from cloudtrain.testing.playground.machine import Hypervisor
from cloudtrain.testing.playground.plays import PLAYS

from ..providers.azure.conftest import make_container
from .pretend import Seen, deadline_in, found

READS = ("/GET", "/LIST", "/virtualMachinesGetOperationStatus")

STATES = {"starting": "on", "running": "on", "deallocated": "off"}


class Azure:
    """See `Pretend`. The token is fetched once for everybody who is done here, the role made once for all."""

    name, machine, gpu_machine = "azure", "azure-b2s", "azure-t4"
    cheap_type, other_type = "Standard_B2s", "Standard_D2s_v5"
    gpu_types = ("Standard_NC4as_T4_v3", "Standard_NC8as_T4_v3")
    region, other_region = "eastus", "westeurope"
    needs_setup, at_deadline = True, "off"
    renting, ending = "Microsoft.Compute:virtualMachines/PUT", "Microsoft.Resources:resourceGroups/DELETE"
    planning = "Microsoft.Compute:skus/LIST"
    own_ends: tuple[str, ...] = ("deallocate", "delete", "none")

    def __init__(self, cloud: AzureCloud, folder: Path) -> None:
        self.cloud = cloud
        self._nowhere = folder / "no-az"

    def environ(self) -> Mapping[str, str]:
        return {**PLAYS["azure"].exports(self.cloud), "AZURE_CONFIG_DIR": str(self._nowhere), "NO_PROXY": "127.0.0.1"}

    def set_up(self, folder: Path) -> None:
        """Prepare the subscription, and log in, once for everybody."""
        self._credential = make_credential(find_endpoints(None))
        role.set_up(Account.of(ProviderSettings(folder / "own", SystemClock(), lambda _: ())))

    def settle_in(self, home: Path) -> None:
        prepared = home / "azure" / "end-roles"
        prepared.mkdir(parents=True, exist_ok=True)
        (prepared / self.cloud.subscription).write_text(role.role_id(self.cloud.subscription))

    def open_provider(self, settings: ProviderSettings) -> AzureProvider:
        provider = AzureProvider(settings)
        provider._account.arm._made_credential = self._credential
        return provider

    def settle(self) -> None:
        """See `Pretend`: every operation is looked at, as somebody would who waits for it."""
        with self.cloud._clockwork.lock:
            for task in list(self.cloud._router.lifecycle._operations._tasks.values()):
                task.seen()
            self.cloud.settle()

    def alive(self) -> list[str]:
        return [machine.id for machine in self.cloud.machines()]

    def state(self) -> str:
        return next((self.seen(machine.id).state for machine in reversed(self.cloud.machines())), "gone")

    def name_of(self, id: str) -> str:
        account = self.cloud.account
        return account.groups[account.machine(id).resource.group.lower()].tags["cloudtrain:name"]

    def seen(self, id: str) -> Seen:
        for machine in self.cloud.machines():
            if machine.id == id:
                address = machine.booted.address if machine.booted else ""
                return Seen(STATES.get(machine.state, machine.state), machine.size, address)
        return Seen("gone")

    def left_of(self, name: str) -> list[str]:
        account = self.cloud.account
        groups = [key for key, group in account.groups.items() if group.tags.get("cloudtrain:name") == name]
        return [*groups, *(one.id for one in account.resources.values() if one.group.lower() in groups)]

    def was_armed(self, id: str) -> bool:
        asked = [call for call in self.cloud.calls() if call.name.endswith("virtualMachinesSubmitDeallocate")]
        return any(call.outcome == "ok" and id in str(call.parameters) for call in asked)

    def tried(self) -> list[tuple[str, str]]:
        asked = [call.parameters["body"] for call in self.cloud.calls() if call.name == self.renting]
        return [(each["location"], each["properties"]["hardwareProfile"]["vmSize"]) for each in asked]

    def beside(self) -> dict[str, list[str]]:
        account, access = self.cloud.account, self.cloud._router.access
        return found(
            {
                "groups": list(account.groups),
                "disks": [disk.name for disk in account.of_type("Microsoft.Compute/disks")],
                "addresses": [address.name for address in account.of_type("Microsoft.Network/publicIPAddresses")],
                "rights": [one.scope for one in access.assignments.values() if _is_a_machines(one.scope)],
            }
        )

    def unarmed(self) -> list[str]:
        return [
            machine.id
            for machine in self.cloud.machines()
            if deadline_in(machine.user_data, self.own_ends) is None
            or (machine.state not in ("deallocating", "deallocated", "deleting") and not self.cloud.ends_of(machine.id))
        ]

    def is_read(self, call: str) -> bool:
        return call.startswith(("Entra:", "Retail:")) or call.endswith(READS)

    def make_folder(self) -> str:
        self.cloud.account.allowed_scopes.add(make_container(self.cloud, self._arm()))
        return "az://digits/data/jobs/"

    def stored(self) -> list[str]:
        return list(self.cloud._router.blobs._containers["digits", "data"].blobs)

    def _arm(self) -> Arm:
        return Account.of(ProviderSettings(self._nowhere, SystemClock(), lambda _: ())).arm

    def end_everything(self) -> None:
        account = self.cloud.account
        self.settle()
        with self.cloud._clockwork.lock:
            for resource in list(account.resources.values()):
                self.cloud._router._clear(resource)
            account.groups.clear()


def _is_a_machines(scope: str) -> bool:
    return "/virtualMachines/" in scope or "/containers/" in scope


@contextmanager
def opened(hypervisor: Hypervisor, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Azure]:
    """Start the pretend Azure; its way is in the environment from then on."""
    patch.setenv("CLOUDTRAIN_CACHE", str(folder.parent / "azure-read-once"))  # what it has read of Azure's own packages
    with AzureCloud(hypervisor) as cloud:
        made = Azure(cloud, folder)
        for name, value in made.environ().items():
            patch.setenv(name, value)
        made.set_up(folder)
        yield made
