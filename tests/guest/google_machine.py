"""Machines of the pretend Google Cloud as their guest sees them: rented by the provider, each with its metadata server."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cloudtrain.model.instance import InstanceRef, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, SshSettings
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.playground.gcp import GcpCloud
from cloudtrain.testing.playground.hypervisor.google_metadata import GoogleMetadata
from tests.hypervisors import BootsNothing

BUCKET = "my-bucket"
URL = f"gs://{BUCKET}/prefix"


@dataclass
class Rented:
    """A machine, and what has its guest ask here and nowhere else."""

    ref: InstanceRef
    environ: Mapping[str, str]
    metadata: GoogleMetadata


@dataclass
class World:
    """The cloud with one bucket, and who rents in it."""

    gcp: GcpCloud
    hypervisor: BootsNothing
    provider: GcpProvider
    clock: FakeClock
    stack: ExitStack = field(default_factory=ExitStack)

    def rent(self, token: str, checkpoints: str = URL) -> Rented:
        """Rent a machine, as a run does."""
        offer = Offer("gcp", "e2-standard-4", "us-central1", zone="us-central1-a", usd_per_hour=0.2)
        machine = MachineSpec("gcp-e2", "gcp", endpoint_url=self.gcp.url, ssh=SshSettings(allow_from=("198.51.100.7/32",)))
        lease = Lease((self.clock.now() + timedelta(hours=2)).replace(microsecond=0), 0.2)
        ref = self.provider.launch(LaunchOrder(token, machine, offer, lease, "me", checkpoints=checkpoints)).ref
        self.gcp.settle()
        [booted] = (order for order in self.hypervisor.orders if order.id == ref.id)
        service = GoogleMetadata(booted.metadata)
        place = self.stack.enter_context(served(service))
        return Rented(ref, {"GCE_METADATA_HOST": place, "STORAGE_EMULATOR_HOST": self.gcp.url}, service)

    def end(self, rented: Rented) -> None:
        """End a machine, as a run does, and all that was made beside it."""
        self.provider.terminate(rented.ref)
        self.gcp.advance(120)
        self.provider.terminate(rented.ref)

    @property
    def held(self) -> dict[str, bytes]:
        """What the bucket holds."""
        return {name: found.content for name, found in self.gcp.account.buckets[BUCKET].objects.items()}

    def asked(self, method_id: str) -> int:
        """How often a method was called."""
        return sum(record.name == method_id for record in self.gcp.calls())


@contextmanager
def world(home: Path) -> Iterator[World]:
    """Start a cloud; its login must be in the environment."""
    hypervisor, clock = BootsNothing(), FakeClock()
    with ExitStack() as stack, GcpCloud(hypervisor, clock) as gcp:
        gcp.make_bucket(BUCKET)
        machine = MachineSpec("gcp-e2", "gcp", endpoint_url=gcp.url)
        settings = ProviderSettings(home, clock, lambda name: (), machine)
        yield World(gcp, hypervisor, GcpProvider(settings), clock, stack)
        assert [event for event in gcp.account.events if "broke" in event] == []


@contextmanager
def served(service: GoogleMetadata) -> Iterator[str]:
    """Serve a metadata server on loopback; yield its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):  # the socket is closed when the test is over
                while True:
                    caller, _ = listening.accept()
                    threading.Thread(target=service.answer, args=(caller,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
