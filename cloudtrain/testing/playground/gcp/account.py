"""What the pretend project holds, for all who answer its calls."""

import hashlib
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ..faults import Faults
from ..machine import Booted, Hypervisor
from ..timeline import Timeline, Timer
from .buckets import Bucket
from .errors import GoogleError, invalid
from .hardware import region_of
from .identities import Identity
from .wire import GoogleCall

PROJECT = "cloudtrain-playground"
NUMBER = "451234567890"
API = "https://www.googleapis.com/compute/v1/"
"""How Compute Engine begins its links, wherever it was called."""

Body = dict[str, Any]
Handler = Callable[[GoogleCall], object]
"""Answers a call: a `Reply`, an operation, or what a reply is written from. Raises `GoogleError`."""


@dataclass(eq=False)
class Machine:
    """One instance.

    Attributes:
        id: the hypervisor's name of it: its own, with the zone behind it where another zone has one of that name.
        body: as the API shows it.
        user: the login name of its image.
        changes: what it is in the middle of; whoever looks at the machine lets that go on.
        deadline: when it is ended because of `maxRunDuration` or `terminationTime`.
        hidden_reads: so many reads do not know it yet.
        boots: how often it was booted.
    """

    id: str
    zone: str
    body: Body = field(repr=False)
    user: str = "ubuntu"
    booted: Booted | None = None
    changes: "list[Change]" = field(default_factory=list)
    deadline: Timer | None = None
    reclaim: Timer | None = None
    hidden_reads: int = 0
    boots: int = 0

    @property
    def name(self) -> str:
        """Return its name, unique in its zone."""
        return str(self.body["name"])

    @property
    def region(self) -> str:
        """Return the region it is in."""
        return region_of(self.zone)

    @property
    def state(self) -> str:
        """Return Google's word for its state."""
        return str(self.body["status"])

    @property
    def tags(self) -> dict[str, str]:
        """Return its labels; what is called tags here is for the firewall alone."""
        return dict(self.body.get("labels", {}))

    @property
    def metadata(self) -> dict[str, str]:
        """Return its own metadata."""
        items = self.body.get("metadata", {}).get("items", [])
        return {item["key"]: item.get("value", "") for item in items}

    @property
    def user_data(self) -> bytes:
        """Return what cloud-init finds on it."""
        return self.metadata.get("user-data", "").encode()

    @property
    def scheduling(self) -> Body:
        """Return how it may run and end."""
        found: Body = self.body["scheduling"]
        return found

    @property
    def is_spot(self) -> bool:
        """Say whether it may be taken back."""
        return bool(self.scheduling.get("preemptible"))


class Change(Protocol):
    """Something that a machine is in the middle of."""

    def seen(self) -> None:
        """Let its present stage end when its time has come, because somebody has seen it."""
        ...

    def cancel(self) -> None:
        """End it where it is."""
        ...


@dataclass
class Durations:
    """How long the transitions last, in seconds of the cloud's own clock."""

    provisioning: float = 0.0
    staging: float = 0.0
    stopping: float = 0.0
    operation: float = 0.0
    tpu: float = 0.0
    soft_off: float = 30.0


@dataclass
class Account:
    """Everything there is.

    Attributes:
        machines: by zone and name.
        disks, addresses: by zone or region, and name. `firewalls`, `networks`: by name.
        firewall_changes: how often a rule was made, changed or deleted.
        quotas: a limit by region ("" for the project's own) and metric, where a test has set one.
        project_metadata: what every machine's metadata service shows as the project's attributes.
        allowed_service_accounts: those that a machine may have without it being a violation.
        denied: permissions that the caller does not have. disabled_services: "compute.googleapis.com" and so on.
        has_billing: the project has a billing account.
        identities: the service accounts, by address. buckets: by name.
        tpu_nodes, queued: TPU machines and the requests for them, by resource name.
        tpu_troubles: what requests of a zone fail with, as google.rpc.Status; {} where nothing ever comes of them.
        events: what happened by itself, a line each.
        port: where all this is answered, on 127.0.0.1.
    """

    timeline: Timeline
    hypervisor: Hypervisor
    project: str = PROJECT
    number: str = NUMBER
    faults: Faults = field(default_factory=Faults)
    durations: Durations = field(default_factory=Durations)
    machines: dict[tuple[str, str], Machine] = field(default_factory=dict)
    disks: dict[tuple[str, str], Body] = field(default_factory=dict)
    addresses: dict[tuple[str, str], Body] = field(default_factory=dict)
    firewalls: dict[str, Body] = field(default_factory=dict)
    firewall_changes: int = 0
    networks: dict[str, Body] = field(default_factory=dict)
    subnetworks: dict[tuple[str, str], Body] = field(default_factory=dict)
    quotas: dict[tuple[str, str], float] = field(default_factory=dict)
    project_metadata: dict[str, str] = field(default_factory=dict)
    allowed_service_accounts: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    disabled_services: set[str] = field(default_factory=set)
    has_billing: bool = True
    identities: dict[str, Identity] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    tpu_nodes: dict[str, Body] = field(default_factory=dict)
    tpu_troubles: dict[str, Body] = field(default_factory=dict)
    queued: dict[str, Body] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    port: int = 0
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(random.randrange(10**17, 9 * 10**17)))

    def note(self, text: str) -> None:
        """Write down what happened by itself."""
        self.events.append(f"{self.timeline.now():%Y-%m-%dT%H:%M:%SZ} {text}")

    def new_id(self) -> str:
        """Return a number that nothing else has."""
        return str(next(self._ids) * 7)

    def now_text(self) -> str:
        """Return the cloud's time as its replies write it."""
        return time_text(self.timeline.now())

    def link(self, path: str) -> str:
        """Return the link to something of the project ("zones/Z/instances/I")."""
        return f"{API}projects/{self.project}/{path}"

    def machine(self, id: str) -> Machine:
        """Return a machine by the hypervisor's name of it.

        Raises:
            KeyError: there is none.
        """
        for machine in self.machines.values():
            if machine.id == id:
                return machine
        raise KeyError(id)


def time_text(moment: datetime) -> str:
    """Return a time as Google writes it."""
    return moment.isoformat(timespec="milliseconds")


def fingerprint(value: object) -> str:
    """Return what changes when the value does, as Google's fingerprints look."""
    return hashlib.sha1(repr(value).encode(), usedforsecurity=False).hexdigest()[:11] + "="


def check_fingerprint(given: str | None, value: object, what: str) -> None:
    """Refuse a change that was made of an older state.

    Raises:
        GoogleError: 412.
    """
    if given is None or given == "":
        raise GoogleError(400, "required", f"Required field '{what}' not specified")
    if given != fingerprint(value):
        raise GoogleError(
            412, "conditionNotMet", f"{what.capitalize()} fingerprint either invalid or resource labels have changed"
        )


def relative(link: str, project: str) -> str:
    """Return "projects/P/zones/Z/…" of a whole link or a part of one; a link's host and version do not matter."""
    if "projects/" in link:
        return link[link.index("projects/") :]
    return f"projects/{project}/{link.lstrip('/')}"


def check_labels(labels: dict[str, str], where: str) -> None:
    """Hold labels to cloud.google.com/compute/docs/labeling-resources: 64 of them, lower case, 63 characters.

    Raises:
        GoogleError: one is not allowed.
    """
    if len(labels) > 64:
        raise invalid(where, len(labels), "Label count exceeds the maximum of 64.")
    for key, value in labels.items():
        if not 0 < len(key) <= 63 or not (key[0].isalpha() and _is_label_text(key)):
            why = (
                "must start with a lowercase character, can only contain lowercase letters, numeric characters, underscores and"
            )
            raise invalid(f"{where}.key", key, f"Label key '{key}' violates format constraints. The key {why} dashes.")
        if len(value) > 63 or not _is_label_text(value):
            why = "can only contain lowercase letters, numeric characters, underscores and dashes. The value can be at most 63"
            raise invalid(
                f"{where}.value", value, f"Label value '{value}' violates format constraints. The value {why} characters long."
            )


def _is_label_text(text: str) -> bool:
    return all(letter in "-_" or (letter.isalnum() and letter == letter.lower()) for letter in text)
