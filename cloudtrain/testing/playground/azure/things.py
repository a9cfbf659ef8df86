"""What a subscription is made of: groups, resources, machines and their meters."""

import base64
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..machine import Booted
from ..timeline import Timer
from .errors import ArmError

BILLED = ("starting", "running", "stopping", "stopped")
"""Power states that bill for compute: a machine that is merely switched off does."""

Body = dict[str, Any]


@dataclass(eq=False)
class Resource:
    """Anything with an id of its own; `body` is as the API shows it."""

    id: str
    type: str
    name: str
    group: str
    body: Body

    @property
    def properties(self) -> Body:
        """Return its properties."""
        found: Body = self.body["properties"]
        return found

    @property
    def tags(self) -> dict[str, str]:
        """Return its tags."""
        return dict(self.body.get("tags") or {})


@dataclass(eq=False)
class Group:
    """A resource group; `task` is its deletion, once that was asked for, and `looks` how often it was seen to go."""

    name: str
    location: str
    tags: dict[str, str]
    state: str = "Succeeded"
    task: Any = None
    looks: int = 0


@dataclass(eq=False)
class Meter:
    """How long a machine has billed for compute."""

    seconds: float = 0.0
    since: datetime | None = None

    def turn(self, now: datetime, *, on: bool) -> None:
        """Let it run from now on, or not."""
        if self.since is not None:
            self.seconds += (now - self.since).total_seconds()
        self.since = now if on else None

    def hours(self, now: datetime) -> float:
        """Return what has been billed."""
        running = (now - self.since).total_seconds() if self.since is not None else 0.0
        return (self.seconds + running) / 3600


@dataclass(eq=False)
class Machine:
    """One virtual machine.

    Attributes:
        id: the hypervisor's name of it, and its host name there.
        power: Azure's word for its power state, "" before it was ever allocated and after that failed.
        custom_data, user_data_text: as they were sent, base64; the API does not show them.
        failure: why it could not be made or started, as its instance view says.
        allocated_at: when it last began to run.
        task: what is being done with it.
        hidden_reads: so many reads do not know it yet.
        has_own_driver: an extension has installed NVIDIA's driver.
    """

    resource: Resource
    id: str
    user: str
    custom_data: str
    user_data_text: str
    made: datetime
    power: str = ""
    failure: ArmError | None = None
    allocated_at: datetime | None = None
    booted: Booted | None = None
    task: Any = None
    reclaim: Timer | None = None
    meter: Meter = field(default_factory=Meter)
    hidden_reads: int = 0
    boots: int = 0
    has_own_driver: bool = False

    @property
    def name(self) -> str:
        """Return its name, unique in its group."""
        return self.resource.name

    @property
    def properties(self) -> Body:
        """Return its properties."""
        return self.resource.properties

    @property
    def region(self) -> str:
        """Return its location."""
        return str(self.resource.body["location"])

    @property
    def state(self) -> str:
        """Return its power state, or "creating", "failed", "deleting"."""
        provisioning = str(self.properties["provisioningState"]).lower()
        return "deleting" if provisioning == "deleting" else self.power or provisioning

    @property
    def size(self) -> str:
        """Return its size."""
        return str(self.properties["hardwareProfile"]["vmSize"])

    @property
    def tags(self) -> dict[str, str]:
        """Return its tags."""
        return self.resource.tags

    @property
    def is_spot(self) -> bool:
        """Say whether it may be taken back."""
        return self.properties.get("priority") in ("Spot", "Low", "SpotPlus")

    @property
    def principal(self) -> str:
        """Return the object id of its own identity, "" without one."""
        return str(self.resource.body.get("identity", {}).get("principalId", ""))

    @property
    def user_data(self) -> bytes:
        """Return what cloud-init finds on it: the custom data, else the user data."""
        return base64.b64decode(self.custom_data or self.user_data_text)

    @property
    def nics(self) -> list[str]:
        """Return the ids of its network interfaces."""
        return [str(one["id"]) for one in self.properties["networkProfile"].get("networkInterfaces", [])]
