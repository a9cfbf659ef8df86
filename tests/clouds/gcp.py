"""The pretend Google Cloud, for a matrix."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.testing.playground.gcp import GcpCloud
from cloudtrain.testing.playground.gcp.cloud import READS
from cloudtrain.testing.playground.machine import Hypervisor
from cloudtrain.testing.playground.plays import PLAYS

from .pretend import Seen, deadline_in, found

STATES = {"PROVISIONING": "on", "STAGING": "on", "RUNNING": "on", "TERMINATED": "off"}


class Gcp:
    """See `Pretend`."""

    name, machine, gpu_machine = "gcp", "gcp-e2", "gcp-l4"
    cheap_type, other_type = "e2-standard-4", "e2-standard-8"
    gpu_types = ("n1-standard-4+nvidia-tesla-t4", "n1-standard-8+nvidia-tesla-t4")
    region, other_region = "us-central1", "us-east1"
    needs_setup, at_deadline = False, "gone"
    renting, ending = "compute.instances.insert", "compute.instances.delete"
    planning = "compute.machineTypes.aggregatedList"
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
        return next((self.seen(machine.id).state for machine in reversed(self.cloud.machines())), "gone")

    def name_of(self, id: str) -> str:
        return self.cloud.account.machine(id).tags["cloudtrain-name"]

    def seen(self, id: str) -> Seen:
        for machine in self.cloud.machines():
            if machine.id == id:
                address = machine.booted.address if machine.booted else ""
                return Seen(STATES.get(machine.state, machine.state), type_of(machine.body), address)
        return Seen("gone")

    def left_of(self, name: str) -> list[str]:
        account, note = self.cloud.account, f'"name":"{name}"'
        return [
            *(machine.id for machine in self.cloud.machines() if machine.tags.get("cloudtrain-name") == name),
            *(disk["name"] for disk in account.disks.values() if disk.get("labels", {}).get("cloudtrain-name") == name),
            *(rule for rule, body in account.firewalls.items() if note in body.get("description", "")),
        ]

    def was_armed(self, id: str) -> bool:
        asked = [call for call in self.cloud.calls() if (call.name, call.outcome) == (self.renting, "ok")]
        return any("terminationTime" in str(call.parameters) for call in asked if f"'name': '{id}'" in str(call.parameters))

    def tried(self) -> list[tuple[str, str]]:
        asked = [call.parameters for call in self.cloud.calls() if call.name == self.renting]
        return [(each["zone"].rpartition("-")[0], type_of(each["body"])) for each in asked]

    def beside(self) -> dict[str, list[str]]:
        account = self.cloud.account
        rules = sorted(set(account.firewalls) - self._rules)
        return found({"disks": list(account.disks), "rules": rules, "service accounts": list(account.identities)})

    def unarmed(self) -> list[str]:
        return [
            machine.id
            for machine in self.cloud.machines()
            if deadline_in(machine.metadata.get("user-data", "").encode()) is None
            or (machine.state != "TERMINATED" and machine.deadline is None)
        ]

    def is_read(self, call: str) -> bool:
        return call.rpartition(".")[2] in READS

    def make_folder(self) -> str:
        self.cloud.make_bucket("checkpoints")
        return "gs://checkpoints/jobs/"

    def stored(self) -> list[str]:
        return list(self.cloud.account.buckets["checkpoints"].objects)

    def end_everything(self) -> None:
        for machine in self.cloud.machines():
            self.cloud.power_off(machine.id)
        self.cloud.settle()
        self.cloud.account.machines.clear()
        self.cloud.account.disks.clear()
        for name in set(self.cloud.account.firewalls) - self._rules:
            del self.cloud.account.firewalls[name]


class Tpu(Gcp):
    """TPU machines there, which are asked for in a queue."""

    machine, own_ends = "gcp-tpu-v5e", ("none",)
    renting, ending = "tpu.projects.locations.queuedResources.create", "tpu.projects.locations.queuedResources.delete"

    def settle(self) -> None:
        super().settle()
        with self.cloud._clockwork.lock:
            for course in list(self.cloud._router.tpus._courses.values()):
                course.hurry()

    def alive(self) -> list[str]:
        account = self.cloud.account
        waiting = {body["tpu"]["nodeSpec"][0]["nodeId"] for body in account.queued.values()}
        return sorted(waiting | {name.rpartition("/")[2] for name in account.tpu_nodes})

    def unarmed(self) -> list[str]:
        queued = self.cloud.account.queued
        return [name for name, body in queued.items() if not body.get("runDuration", {}).get("maxRunDuration")]

    def end_everything(self) -> None:
        self.cloud.account.queued.clear()
        self.cloud.account.tpu_nodes.clear()
        super().end_everything()


def type_of(body: Mapping[str, Any]) -> str:
    """Return the type of a machine as a config names it."""
    attached = [f"+{each['acceleratorType'].rpartition('/')[2]}" for each in body.get("guestAccelerators", ())]
    return "".join([body["machineType"].rpartition("/")[2], *attached])


@contextmanager
def opened(hypervisor: Hypervisor, folder: Path, patch: pytest.MonkeyPatch, kind: type[Gcp] = Gcp) -> Iterator[Gcp]:
    """Start the pretend Google Cloud; its way is in the environment from then on."""
    with GcpCloud(hypervisor) as cloud:
        made = kind(cloud, folder)
        for name, value in made.environ().items():
            patch.setenv(name, value)
        yield made


def opened_for_tpus(hypervisor: Hypervisor, folder: Path, patch: pytest.MonkeyPatch) -> AbstractContextManager[Gcp]:
    """Start it for whoever rents TPUs there."""
    return opened(hypervisor, folder, patch, Tpu)
