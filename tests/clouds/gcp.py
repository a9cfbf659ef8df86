"""The pretend Google Cloud, for a matrix."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.testing.playground.gcp import GcpCloud
from cloudtrain.testing.playground.gcp.cloud import READS
from cloudtrain.testing.playground.machine import Hypervisor
from cloudtrain.testing.playground.plays import PLAYS

from .pretend import deadline_in, found


class Gcp:
    """See `Pretend`."""

    name, machine, gpu_machine, other_type = "gcp", "gcp-e2", "gcp-l4", "e2-standard-8"
    renting, ending = "compute.instances.insert", "compute.instances.delete"
    own_ends: tuple[str, ...] = ()

    def __init__(self, cloud: GcpCloud, folder: Path) -> None:
        self.cloud = cloud
        self._nowhere = folder / "no-gcloud"
        self._rules = set(cloud.account.firewalls)

    def environ(self) -> Mapping[str, str]:
        return {**PLAYS["gcp"].exports(self.cloud), "CLOUDSDK_CONFIG": str(self._nowhere)}

    def settle_in(self, home: Path) -> None:
        """Nothing has to be prepared."""

    def open_provider(self, settings: ProviderSettings) -> GcpProvider:
        return GcpProvider(settings)

    def settle(self) -> None:
        with self.cloud._clockwork.lock:
            for operation in list(self.cloud._router._operations._all.values()):
                operation.hurry()

    def alive(self) -> list[str]:
        return [machine.id for machine in self.cloud.machines()]

    def state(self) -> str:
        state = [machine.state for machine in self.cloud.machines()] or ["gone"]
        return {"PROVISIONING": "on", "STAGING": "on", "RUNNING": "on", "TERMINATED": "off"}.get(state[-1], state[-1])

    def beside(self) -> dict[str, list[str]]:
        account = self.cloud.account
        return found({"disks": list(account.disks), "rules": sorted(set(account.firewalls) - self._rules)})

    def unarmed(self) -> list[str]:
        return [
            machine.id
            for machine in self.cloud.machines()
            if deadline_in(machine.metadata.get("user-data", "").encode()) is None
            or (machine.state != "TERMINATED" and machine.deadline is None)
        ]

    def is_read(self, call: str) -> bool:
        return call.rpartition(".")[2] in READS

    def end_everything(self) -> None:
        for machine in self.cloud.machines():
            self.cloud.power_off(machine.id)
        self.cloud.settle()
        self.cloud.account.machines.clear()
        self.cloud.account.disks.clear()
        for name in set(self.cloud.account.firewalls) - self._rules:
            del self.cloud.account.firewalls[name]


@contextmanager
def opened(hypervisor: Hypervisor, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Gcp]:
    """Start the pretend Google Cloud; its way is in the environment from then on."""
    with GcpCloud(hypervisor) as cloud:
        made = Gcp(cloud, folder)
        for name, value in made.environ().items():
            patch.setenv(name, value)
        yield made
