"""What a person asks for: a job, a machine, and what both may use and cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

DEFAULT_MAX_LIFETIME_S = 24 * 3600.0
"""How long a machine lives when nobody says otherwise, in seconds."""

DEFAULT_IDLE_TIMEOUT_S = 30 * 60.0
"""How long a machine may do nothing before it is ended, in seconds."""


class Framework(StrEnum):
    """What the job computes with: decides the GPU check, the environment and its default packages."""

    TENSORFLOW = "tensorflow"
    KERAS = "keras"
    PYTORCH = "pytorch"
    JAX = "jax"
    NONE = "none"


class OnFinish(StrEnum):
    """What becomes of the machine when the job is over."""

    TERMINATE = "terminate"
    STOP = "stop"
    KEEP = "keep"


class Market(StrEnum):
    """How an instance is bought: spot is cheaper and may be reclaimed."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"


@dataclass(frozen=True, slots=True)
class Resources:
    """The least a machine must have. Zero or None asks for nothing.

    Attributes:
        gpu: GPU model as the price table writes it ("A10G", "T4"), or None for any.
        gpus: number of GPUs.
        gpu_memory_gb: memory of each GPU, GiB.
        cpus: virtual CPUs.
        memory_gb: main memory, GiB.
        disk_gb: boot disk, GiB.
    """

    gpu: str | None = None
    gpus: int = 0
    gpu_memory_gb: float = 0.0
    cpus: int = 0
    memory_gb: float = 0.0
    disk_gb: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a machine may cost and how long it may live.

    Attributes:
        usd: hard cap in USD, or None for no cap in dollars.
        max_lifetime_s: hard cap in seconds; always set.
    """

    usd: float | None = None
    max_lifetime_s: float = DEFAULT_MAX_LIFETIME_S


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One training job: the folder it lives in, what to run, what goes in and what comes back.

    Attributes:
        folder: absolute path of the job's folder on this machine; relative names below count from it.
        command: what the machine's shell runs in the job's folder.
        inputs: relative names (files or folders) that travel to the machine.
        stored_inputs: folders of object storage ("s3://bucket/data/") that the machine reads itself.
        outputs: relative names that come back.
        requirements: relative name of a pip requirements file, or None.
        idle_timeout_s: seconds of idleness after which the machine ends, or None for never.
        stall_timeout_s: seconds of a quiet GPU after which a running job counts as stalled and ends, or None for never.
        resume: a reclaimed job goes on, on the next offer, with what its outputs hold.
        checkpoints: object storage folder ("s3://bucket/prefix") the machine copies its outputs to while the job runs, or "".
        secrets: names of environment variables read here and handed over outside command lines and files.
    """

    name: str
    folder: Path
    command: str
    framework: Framework = Framework.NONE
    inputs: tuple[str, ...] = (".",)
    stored_inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("results",)
    requirements: str | None = None
    resources: Resources = field(default_factory=Resources)
    budget: Budget = field(default_factory=Budget)
    idle_timeout_s: float | None = DEFAULT_IDLE_TIMEOUT_S
    stall_timeout_s: float | None = None
    resume: bool = False
    checkpoints: str = ""
    on_finish: OnFinish = OnFinish.TERMINATE
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SshSettings:
    """How to reach a machine over SSH when the provider's answer is not enough.

    Attributes:
        allow_from: CIDR blocks that may reach the machine's SSH port; empty for the caller's own address alone.
    """

    user: str | None = None
    port: int = 22
    proxy_command: str | None = None
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    allow_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wake:
    """How a sleeping machine is woken over the network: to whom the packet goes, and where it is shouted."""

    mac: str
    broadcast: str = "255.255.255.255"
    port: int = 9


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A machine of one's own: where it is, and how to reach it.

    Attributes:
        address: as ssh takes it: a host name, an IP address or a name from the person's own ssh settings.
        port, user: None for what the person's own ssh settings say.
        host_keys: public host keys; empty: those that the person's known_hosts files hold for it.
        usd_per_hour: what its owner says it costs, USD/hour; 0.0 for no meter.
        shutdown: what its shell runs when the machine is given back, or "".
    """

    address: str
    port: int | None = None
    user: str | None = None
    host_keys: tuple[str, ...] = ()
    usd_per_hour: float = 0.0
    wake: Wake | None = None
    shutdown: str = ""
    proxy_command: str | None = None
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def name(self) -> str:
        """Return what tells it from the others: its address, with the port where one is named."""
        if self.port is None:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """One machine config: where to rent, what, and how.

    Attributes:
        name: what a verb names ("aws-p2"); the config file's name without its ending.
        origin: the file it was read from, as a person knows it.
        provider: the adapter's name ("aws").
        regions: in order of preference; empty for the provider's default.
        instance_types: in order of preference; empty means: whatever satisfies `resources`.
        disk_gb: boot disk in GiB, or None for what the image needs.
        image: "auto", or an image name of that cloud.
        network: the cloud's name of the network to use ("vpc-0a1b…"), or "" for the account's default one.
        create_network: make a network when the account has no default one; asked for by a flag, never by a file.
        attended: rent also what the cloud ends only when it is told to; asked for by a flag, never by a file.
        project: the Google Cloud project that pays, or "" for the person's own default.
        subscription: the Azure subscription that pays, or "" for the person's own default.
        hosts: the machines of one's own to choose from, in order of preference; for the provider that rents none.
    """

    name: str
    provider: str
    description: str = ""
    origin: str = ""
    regions: tuple[str, ...] = ()
    instance_types: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    market: Market = Market.ON_DEMAND
    disk_gb: int | None = None
    image: str = "auto"
    network: str = ""
    create_network: bool = False
    attended: bool = False
    ssh: SshSettings = field(default_factory=SshSettings)
    project: str = ""
    subscription: str = ""
    endpoint_url: str | None = None
    resource_manager_url: str | None = None
    authority_url: str | None = None
    hosts: tuple[HostSpec, ...] = ()

    @property
    def account(self) -> str:
        """Return the project or subscription that pays, "" for the person's own default."""
        return self.project or self.subscription

    @property
    def way(self) -> tuple[str, ...]:
        """Return what tells the account and the endpoint that are asked from any others."""
        return (self.provider, self.account, self.endpoint_url or "", self.resource_manager_url or "")

    def named(self, name: str) -> "MachineSpec":
        """Return a config of that name which asks the same account at the same endpoint, and says no more."""
        return MachineSpec(
            name,
            self.provider,
            project=self.project,
            subscription=self.subscription,
            endpoint_url=self.endpoint_url,
            resource_manager_url=self.resource_manager_url,
            authority_url=self.authority_url,
            hosts=self.hosts,
        )
