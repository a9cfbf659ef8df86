"""The two files a person writes, field by field. The descriptions make docs/config.md."""

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ..model.spec import DEFAULT_IDLE_TIMEOUT_S, DEFAULT_MAX_LIFETIME_S, Framework, Market, OnFinish
from .fields import (
    AddressBlock,
    Block,
    DollarsIfAny,
    Duration,
    DurationOrNever,
    EachOnce,
    EnvName,
    EnvValue,
    HttpUrl,
    JobName,
    Line,
    Number,
    ProviderName,
    SshOption,
    Switch,
    UserName,
    WholeNumber,
    Word,
    refuse,
)
from .host_fields import address_parts
from .host_schema import HostSection
from .paths import InputName, OutputName, RequirementsName, StorageUrl
from .section import Section

OWN_MACHINES = frozenset({"local", "memory", "hosts"})
"""Providers that need not be told what to rent."""


class ResourcesSection(Section):
    """The least a machine must have."""

    gpu: Word | None = Field(default=None, description="GPU model as `cloudtrain offers` writes it.", examples=["A10G"])
    gpus: WholeNumber = Field(default=0, ge=0, description="Number of GPUs.", examples=["1"])
    gpu_memory_gb: Number = Field(default=0.0, ge=0, description="Memory of each GPU, GiB.", examples=["16"])
    cpus: WholeNumber = Field(default=0, ge=0, description="Virtual CPUs.", examples=["4"])
    memory_gb: Number = Field(default=0.0, ge=0, description="Main memory, GiB.", examples=["16"])
    disk_gb: WholeNumber = Field(default=0, ge=0, le=65536, description="Boot disk, GiB.", examples=["100"])


class JobFile(Section):
    """`cloudtrain.yaml`, in the job's folder."""

    never_empty = frozenset({"budget"})

    name: JobName | None = Field(
        default=None,
        description="The job's name, in the names of its runs. Left out: the folder's name.",
        examples=["digits-cnn"],
    )
    framework: Framework = Field(
        default=Framework.NONE,
        description="What the job computes with. Decides the GPU check and the packages of its environment.",
        examples=["tensorflow"],
    )
    command: Block = Field(
        description="What the machine's shell runs in the job's folder. `cloudtrain train NAME -- COMMAND` replaces it.",
        examples=["python train.py --epochs 5"],
    )
    inputs: Annotated[tuple[InputName, ...], EachOnce] = Field(
        default=(".",),
        description=(
            "Files and folders that travel to the machine. `.gitignore` and `.cloudtrainignore` are honoured. What is in S3 "
            "(`s3://bucket/data/`) is read by the machine itself, into a folder of its last name; by one of Google's, what is "
            "in Cloud Storage (`gs://bucket/data/`), by one of Azure's, what is in Blob Storage (`az://account/container/data/`)."
        ),
        examples=["[., data/]"],
    )
    requirements: RequirementsName | None = Field(
        default=None,
        description="A pip requirements file, installed once and cached on the machine.",
        examples=["requirements.txt"],
    )
    outputs: Annotated[tuple[OutputName, ...], EachOnce] = Field(
        default=("results",),
        description="Files and folders that come back, also after a job that failed.",
        examples=["[results/]"],
    )
    resources: ResourcesSection = Field(
        default_factory=ResourcesSection,
        description="The least a machine must have; with those of the machine config, the larger of each counts.",
        examples=["{gpus: 1, gpu_memory_gb: 16}"],
    )
    budget: DollarsIfAny = Field(
        default=None,
        description="What the machine may cost at most, as a hard cap: it becomes its deadline. Left out: no cap in dollars.",
        examples=["5.00"],
    )
    max_lifetime: Duration = Field(
        default=DEFAULT_MAX_LIFETIME_S,
        description="How long the machine may live at most, whatever happens; 120 days or less.",
        examples=["4h"],
    )
    idle_timeout: DurationOrNever = Field(
        default=DEFAULT_IDLE_TIMEOUT_S,
        description=(
            "How long the machine may do nothing before it ends: no job, nobody logged in, GPU and CPU quiet, nothing read or "
            "written. `never` switches this off, not the deadline."
        ),
        examples=["20m"],
    )
    stall_timeout: DurationOrNever = Field(
        default=None,
        description="How long the GPU may be quiet while the job runs before the job counts as stalled and is ended.",
        examples=["1h"],
    )
    resume: Switch = Field(
        default=False,
        description=(
            "When the cloud takes a spot machine back, the job goes on, on the next offer, with what its outputs hold: write "
            "checkpoints there."
        ),
        examples=["true"],
    )
    checkpoints: StorageUrl | None = Field(
        default=None,
        description=(
            "A folder in the storage of the machine's cloud (`s3://`, `gs://`, `az://`) that the machine copies its outputs to "
            "while the job runs, and finds them in again."
        ),
        examples=["s3://my-bucket/digits/"],
    )
    on_finish: OnFinish = Field(
        default=OnFinish.TERMINATE,
        description="What becomes of the machine when the job is over. `keep` still ends at the deadline.",
        examples=["terminate"],
    )
    env: dict[EnvName, EnvValue] = Field(
        default_factory=dict,
        description="Environment variables of the job. Text as it is written; `true` and `false` need quotes.",
        examples=['{EPOCHS: "5"}'],
    )
    secrets: Annotated[tuple[EnvName, ...], EachOnce] = Field(
        default=(),
        description=(
            "Names of environment variables read on this computer when the job starts. Their values are never written to a "
            "command line, a file, a log or the ledger."
        ),
        examples=["[WANDB_API_KEY]"],
    )

    @field_validator("secrets", mode="after")
    @classmethod
    def _no_secret_in_the_open(cls, names: tuple[str, ...], info: Any) -> tuple[str, ...]:
        for index, name in enumerate(names):
            if name in info.data.get("env", {}):
                raise refuse(f"{name} stands in env too", "Keep it here, and remove it from env.", at=(index,))
        return names


class SshSection(Section):
    """How to reach the machine when the provider's answer is not enough."""

    user: UserName | None = Field(default=None, description="Login name. `auto`: the image's own.", examples=["ubuntu"])
    port: WholeNumber = Field(default=22, ge=1, le=65535, description="The SSH server's port.", examples=["22"])
    proxy_command: Line | None = Field(
        default=None,
        description="A command whose input and output are the line to the machine.",
        examples=["ssh -W %h:%p gate"],
    )
    allow_from: Annotated[tuple[AddressBlock, ...], EachOnce] = Field(
        default=(),
        description="Who may reach the machine's SSH port. Left out: the address this computer is seen under, and nobody else.",
        examples=["[203.0.113.0/24]"],
    )
    options: dict[SshOption, Line] = Field(
        default_factory=dict,
        description="Further OpenSSH client options by name. Those that would undo the check of the host key are refused.",
        examples=["{ServerAliveInterval: 15}"],
    )


class MachineFile(Section):
    """`configs/NAME.yaml`: what a verb's NAME means."""

    description: Line = Field(
        default="", description="One line a person reads in `cloudtrain configs`.", examples=["One T4, for small things"]
    )
    provider: ProviderName = Field(
        description="Who rents the machine out: `aws`, `azure`, `gcp`, `hosts`, `local`, `memory`.", examples=["aws"]
    )
    regions: Annotated[tuple[Word, ...], EachOnce] = Field(
        default=(),
        description="Where to rent, in order of preference. Left out: wherever the provider has it.",
        examples=["[us-east-1, us-west-2]"],
    )
    instance_types: Annotated[tuple[Word, ...], EachOnce] = Field(
        default=(),
        description=(
            "What to rent, in order of preference. Left out: whatever satisfies `resources`. One of the two is needed, except "
            "for `local`, `memory` and `hosts`."
        ),
        examples=["[g5.xlarge, g5.2xlarge]"],
    )
    resources: ResourcesSection = Field(
        default_factory=ResourcesSection,
        description="The least a machine must have; with those of the job, the larger of each counts.",
        examples=["{gpu: A10G, gpus: 1}"],
    )
    hosts: tuple[HostSection, ...] = Field(
        default=(),
        description="`hosts` only: your own machines, in order of preference; `resources` choose among them.",
        examples=["[gpu1.lab.example, me@gpu2.lab.example:2222]"],
    )
    market: Market = Field(
        default=Market.ON_DEMAND,
        description="How it is bought. `spot` is cheaper, and the cloud may take the machine back.",
        examples=["spot"],
    )
    disk_gb: WholeNumber | None = Field(
        default=None, ge=1, le=65536, description="Boot disk, GiB. Left out: what the image needs.", examples=["100"]
    )
    network: Word = Field(
        default="",
        description="The cloud's name of the network to use. Left out: the account's default one.",
        examples=["vpc-0a1b2c3d"],
    )
    image: Word = Field(default="auto", description="`auto`, or the name of an image of that cloud.", examples=["auto"])
    ssh: SshSection = Field(
        default_factory=SshSection,
        description="How to reach the machine when the provider's answer is not enough.",
        examples=["{user: ubuntu, port: 22}"],
    )
    project: Word = Field(
        default="",
        description="Google Cloud only: the project that pays; left out, your default one.",
        examples=["my-project"],
    )
    subscription: Word = Field(
        default="",
        description="Azure only: id of the subscription that pays; left out, your default one.",
        examples=["5f1e2d3c-0000-4000-8000-000000000000"],
    )
    endpoint_url: HttpUrl | None = Field(
        default=None,
        description="Address of the cloud's API, for private endpoints and sovereign clouds.",
        examples=["https://ec2.internal.example"],
    )
    resource_manager_url: HttpUrl | None = Field(
        default=None, description="Azure only: address of Resource Manager.", examples=["https://management.internal.example"]
    )
    authority_url: HttpUrl | None = Field(
        default=None, description="Azure only: address of the sign-in service.", examples=["https://login.internal.example"]
    )

    @field_validator("hosts", mode="after")
    @classmethod
    def _each_host_once(cls, hosts: tuple[HostSection, ...]) -> tuple[HostSection, ...]:
        seen: set[tuple[str, int | None]] = set()
        for index, host in enumerate(hosts):
            _user, address, port = address_parts(host.address)
            if (address, port) in seen:
                raise refuse(f"{address} stands in the list twice", "Keep one of the two.", at=(index, "address"))
            seen.add((address, port))
        return hosts

    @model_validator(mode="after")
    def _names_hosts_where_they_are_used(self) -> Self:
        if self.provider == "hosts" and not self.hosts:
            raise refuse("your own machines are not named", "Name one or more: `hosts: [gpu1.lab.example]`.", at=("hosts",))
        if self.hosts and self.provider != "hosts":
            raise refuse(f"{self.provider} knows no machines of your own", "Write `provider: hosts`.", at=("hosts",))
        return self

    @model_validator(mode="after")
    def _says_what_to_rent(self) -> Self:
        if self.instance_types or self.provider in OWN_MACHINES or self.resources != ResourcesSection():
            return self
        raise _nothing_to_rent(self.provider)


def _nothing_to_rent(provider: str) -> PydanticCustomError:
    return refuse(
        f"{provider} is not told what to rent",
        "Name `instance_types: [...]`, or say what is needed: `resources: {gpus: 1}`.",
        at=("instance_types",),
    )
