"""An instance as the cloud shows it, the order that makes one, and what may be left when it is gone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from .lease import GuestEnd, Lease
from .offer import Offer
from .spec import MachineSpec, Market, OnFinish


class InstanceState(StrEnum):
    """What the cloud says, observed and never assumed."""

    PENDING = "pending"
    RUNNING = "running"
    POWERED_OFF = "powered-off"
    STOPPING = "stopping"
    STOPPED = "stopped"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    UNKNOWN = "unknown"

    @property
    def bills_compute(self) -> bool:
        """Say whether the meter may run: only a machine seen stopped or terminated is free of it."""
        return self not in (InstanceState.STOPPED, InstanceState.TERMINATED)


@dataclass(frozen=True, slots=True)
class InstanceRef:
    """What it takes to ask a provider for one instance again."""

    provider: str
    id: str
    region: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class LocalEndpoint:
    """A folder of this machine that plays the machine."""

    kind: ClassVar[str] = "local"
    root: Path


@dataclass(frozen=True, slots=True)
class MemoryEndpoint:
    """A pretend machine of the memory provider: a folder whose lines can be made to break."""

    kind: ClassVar[str] = "memory"
    root: Path


@dataclass(frozen=True, slots=True)
class SshEndpoint:
    """An SSH server and the only host keys it may answer with.

    Attributes:
        host_keys: public host keys ("ssh-ed25519 AAAA…"), at least one: nothing is trusted on first use.
        identity_file: private key, or None for the user's agent and defaults.
        options: further OpenSSH client options by name.
    """

    kind: ClassVar[str] = "ssh"
    host: str
    host_keys: tuple[str, ...]
    port: int = 22
    user: str | None = None
    identity_file: Path | None = None
    proxy_command: str | None = None
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


Endpoint = LocalEndpoint | MemoryEndpoint | SshEndpoint


@dataclass(frozen=True, slots=True)
class Instance:
    """One machine of ours, as its provider showed it at one moment.

    Attributes:
        name: the machine's name, as a verb names it.
        token: the order it came from; finds an instance whose launch we did not hear back from.
        owner: who ordered it; nobody ends another person's machine by mistake.
        address: what a person would type to reach it (an IP address or host name), "" while there is none.
        endpoint: how `remote` reaches it, None while it cannot be reached.
        usd_per_hour: price of compute while running, USD/hour, or None when unknown.
        beside_usd_per_hour: what its disk and address cost beside that while it runs, USD/hour.
        usd_per_month_stopped: what its disks and addresses cost per month while stopped, USD.
        deadline: as read back from the machine or the cloud; None means nothing was found armed.
        market: how it was bought; a reclaimed machine is a spot machine.
        gpu_count: how many GPUs it was rented with.
        console_url: where the cloud's own console shows it, for the day when nothing else answers; "" when there is none.
        guest_end: what the machine itself can do to end its bill.
        cloud_ends_at: when its cloud itself ends it, where that is a little before the deadline: a job ends before that.
    """

    ref: InstanceRef
    name: str
    state: InstanceState
    token: str = ""
    owner: str = ""
    instance_type: str = ""
    address: str = ""
    endpoint: Endpoint | None = None
    usd_per_hour: float | None = None
    usd_per_month_stopped: float = 0.0
    launched_at: datetime | None = None
    deadline: datetime | None = None
    market: Market = Market.ON_DEMAND
    guest_end: GuestEnd = GuestEnd.NONE
    beside_usd_per_hour: float = 0.0
    gpu_count: int = 0
    console_url: str = ""
    cloud_ends_at: datetime | None = None

    @property
    def full_usd_per_hour(self) -> float | None:
        """Return what an hour costs, compute, disk and address, in USD; None when the price is unknown."""
        return None if self.usd_per_hour is None else self.usd_per_hour + self.beside_usd_per_hour


@dataclass(frozen=True, slots=True)
class LaunchOrder:
    """Everything a provider needs to make one machine, written down before it is asked.

    Attributes:
        token: unique; the same token never makes two machines. At most 64 ASCII letters, digits and dashes.
        owner: a name for the person and computer, written into the machine's tags.
        run_id: the run it is for, or "" when a person starts a machine by name.
        at_deadline: TERMINATE or STOP: what the deadline does to the machine. Spot machines can only be terminated.
        checkpoints: object storage folder ("s3://bucket/prefix") the machine itself may read and write, or "" for none.
        holder: the process that gives the order, as the ledger names processes; when it is dead, nobody waits for an answer.
    """

    token: str
    machine: MachineSpec
    offer: Offer
    lease: Lease
    owner: str
    disk_gb: int | None = None
    run_id: str = ""
    at_deadline: OnFinish = OnFinish.TERMINATE
    checkpoints: str = ""
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something of ours that is no machine and may cost: a disk, an address, a group, a schedule, a role.

    Attributes:
        owner: who ordered the machine it was made for; "" when nothing says so.
        token: the order it was made for; "" when nothing says so.
    """

    provider: str
    kind: str
    id: str
    region: str = ""
    usd_per_month: float = 0.0
    owner: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a launch would make, as far as the cloud tells before money is spent.

    Attributes:
        image: the image's name and what it holds, in words for a person.
        disk_gb: size of the boot disk, GiB.
        usd_per_month_stopped: what the machine would cost per month while stopped, USD.
        quota: what the account's limit says, in words for a person ("8 of 64 vCPU used"), or "" when it is not known.
        enough_quota: False when the limit is known to be too small.
    """

    image: str
    disk_gb: int
    usd_per_month_stopped: float
    quota: str = ""
    enough_quota: bool = True
