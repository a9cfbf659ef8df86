"""What the pretend subscription holds, for all who answer its calls."""

import base64
import binascii
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote, urlencode

from ..faults import Faults
from ..machine import Hypervisor
from ..timeline import Timeline
from .errors import ArmError, group_not_found, not_found
from .things import Body, Group, Machine, Resource
from .wire import ArmCall

T = TypeVar("T")

SUBSCRIPTION = "00000000-0000-4000-8000-0000c1007a11"
TENANT = "00000000-0000-4000-8000-00007e0a0700"
CLIENT = "00000000-0000-4000-8000-00000c11e070"
CALLER = "00000000-0000-4000-8000-0000ca11e200"
"""The object id of whoever has the client's secret."""

LOCATIONS = {
    "eastus": "East US",
    "southcentralus": "South Central US",
    "westus2": "West US 2",
    "westeurope": "West Europe",
}
NAMESPACES = (
    "Microsoft.Authorization",
    "Microsoft.Compute",
    "Microsoft.ComputeSchedule",
    "Microsoft.DevTestLab",
    "Microsoft.Network",
    "Microsoft.Resources",
    "Microsoft.Storage",
)
Handler = Callable[[ArmCall], object]
"""Answers a call: a `Reply`, or what a reply is written from. Raises `ArmError`."""


@dataclass
class Durations:
    """How long things last, in seconds of the cloud's own clock, but `retry_after`, which is what callers are told to wait.

    Attributes:
        role: until a role assignment has its effect.
        register: until a provider is registered.
        driver: until an extension has installed a GPU's driver.
    """

    create: float = 0.0
    start: float = 0.0
    stop: float = 0.0
    deallocate: float = 0.0
    delete: float = 0.0
    network: float = 0.0
    role: float = 0.0
    register: float = 0.0
    driver: float = 0.0
    retry_after: float = 0.0


@dataclass
class Account:
    """Everything there is.

    Attributes:
        machines: by id in lower case; `gone` are those that were deleted.
        resources: everything with an id, the machines included, by id in lower case.
        quotas: a limit by location and name ("cores", "lowPriorityCores", a family), where a test has set one.
        registered: namespaces that the subscription may use.
        denied: what the caller may not do: "Microsoft.Authorization/roleAssignments/write", `*` for anything.
        caller_role: what the caller is in this subscription: "Owner" or "Contributor".
        allowed_scopes: where a machine's identity may have a role without it being a violation: the container of its inputs.
        unavailable: sizes that are not to be had, as (location, size), hidden or not in the SKUs.
        page_size: so many machines, addresses and groups are on a page of a list of the whole subscription.
        url: where it answers. certificate: the text of what a caller has to trust.
        events: what happened by itself, a line each.
    """

    timeline: Timeline
    hypervisor: Hypervisor
    subscription: str = SUBSCRIPTION
    tenant: str = TENANT
    client: str = CLIENT
    faults: Faults = field(default_factory=Faults)
    durations: Durations = field(default_factory=Durations)
    groups: dict[str, Group] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    gone: list[Machine] = field(default_factory=list)
    quotas: dict[tuple[str, str], float] = field(default_factory=dict)
    registered: set[str] = field(default_factory=lambda: set(NAMESPACES))
    denied: set[str] = field(default_factory=set)
    caller_role: str = "Owner"
    allowed_scopes: set[str] = field(default_factory=set)
    unavailable: set[tuple[str, str]] = field(default_factory=set)
    page_size: int = 1000
    url: str = ""
    port: int = 0
    certificate: str = ""
    events: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Write down what happened by itself."""
        self.events.append(f"{self.timeline.now():%Y-%m-%dT%H:%M:%SZ} {text}")

    def now_text(self) -> str:
        """Return the cloud's time as its replies write it."""
        return time_text(self.timeline.now())

    def id_of(self, group: str, type: str, name: str) -> str:
        """Return the id of a resource ("Microsoft.Network/virtualNetworks/subnets", "net/sub")."""
        namespace, *types = type.split("/")
        parts = "".join(f"/{kind}/{part}" for kind, part in zip(types, name.split("/"), strict=True))
        return f"/subscriptions/{self.subscription}/resourceGroups/{group}/providers/{namespace}{parts}"

    def group(self, name: str) -> Group:
        """Return a resource group.

        Raises:
            ArmError: there is none.
        """
        if name.lower() not in self.groups:
            raise group_not_found(name)
        return self.groups[name.lower()]

    def find(self, id: str) -> Resource | None:
        """Return a resource by its id, None when there is none; Azure compares ids without case."""
        return self.resources.get(id.lower())

    def resource(self, group: str, type: str, name: str) -> Resource:
        """Return a resource.

        Raises:
            ArmError: there is none, or not its group.
        """
        found = self.find(self.id_of(self.group(group).name, type, name))
        if found is None:
            raise not_found(type, name, group)
        return found

    def add(self, resource: Resource) -> None:
        """Take a resource in, or anew."""
        self.resources[resource.id.lower()] = resource

    def remove(self, id: str) -> None:
        """Forget a resource."""
        self.resources.pop(id.lower(), None)

    def of_type(self, type: str, group: str = "") -> Iterator[Resource]:
        """Yield the resources of a type, of one group or of all."""
        for resource in list(self.resources.values()):
            if resource.type.lower() == type.lower() and group.lower() in ("", resource.group.lower()):
                yield resource

    def machine(self, id: str) -> Machine:
        """Return a machine by the hypervisor's name of it, by its name or by its id.

        Raises:
            KeyError: there is none.
        """
        for machine in self.machines.values():
            if id.lower() in (machine.id.lower(), machine.name.lower(), machine.resource.id.lower()):
                return machine
        raise KeyError(id)


def time_text(moment: datetime) -> str:
    """Return a time as Azure writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}+00:00"


def new_guid() -> str:
    """Return an id that nothing else has."""
    return str(uuid.uuid4())


def is_base64(text: str) -> bool:
    """Say whether a text can be decoded."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def without(body: Body, *keys: str) -> Body:
    """Return an object without some of its members."""
    return {key: value for key, value in body.items() if key not in keys}


def page(items: list[Body]) -> Body:
    """Return a list as replies write it."""
    return {"value": items}


def paged(items: Sequence[T], shown: Callable[[T], Body], call: ArmCall, size: int) -> Body:
    """Return the page of a list that a call asks for, and where the next one is.

    Raises:
        ArmError: it asks for no page that was named to it.
    """
    token = call.query.get("$skiptoken", "0")
    if not (token.isascii() and token.isdigit()):
        raise ArmError("InvalidParameter", f"The value '{token}' of parameter '$skiptoken' is invalid.", target="$skiptoken")
    start = int(token)
    made = page([shown(item) for item in items[start : start + size]])
    if start + size < len(items):
        following = urlencode({**call.query, "$skiptoken": str(start + size)}, quote_via=quote)
        made["nextLink"] = f"{call.host}{quote(call.path)}?{following}"
    return made
