"""What the pretend account holds beside moto's objects, for all who answer its calls."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..faults import Faults
from ..machine import Booted, Hypervisor
from ..timeline import Timeline, Timer
from .moto_app import Moto
from .wire import ApiCall, CloudError


@dataclass(eq=False)
class Machine:
    """One instance: moto's object and what moto does not know of it.

    Attributes:
        instance: moto's own; it is what replies are written from.
        user: the login name of its image.
        behavior_given: `InstanceInitiatedShutdownBehavior` was in the request and is not the default.
        change: the transition it is in, if any; `change_ready` is when it may end.
        hidden_reads: so many Describe calls do not know it yet.
        boots: how often it was booted.
    """

    id: str
    region: str
    instance: Any
    user: str
    behavior_given: bool
    spot_request: str = ""
    booted: Booted | None = None
    change: Timer | None = None
    change_ready: datetime | None = None
    hidden_reads: int = 0
    reclaim: Timer | None = None
    boots: int = 0

    @property
    def state(self) -> str:
        """Return EC2's name of its state."""
        return str(self.instance.state)

    @property
    def tags(self) -> dict[str, str]:
        """Return its tags."""
        return tags_of(self.instance.ec2_backend, self.id)

    @property
    def user_data(self) -> bytes:
        """Return the user data as the machine will get it."""
        return decoded(self.instance.user_data)


@dataclass
class SpotRequest:
    """A one-time request for a spot machine."""

    id: str
    region: str
    instance_id: str
    zone: str
    made: datetime
    price: str
    state: str = "active"
    status: str = "fulfilled"


@dataclass
class Durations:
    """How long the transitions last, in seconds of the cloud's own clock."""

    pending: float = 0.0
    stopping: float = 0.0
    shutting_down: float = 0.0


@dataclass
class Account:
    """Everything there is.

    Attributes:
        quotas: the limits by region and quota code, where a test has set one.
        group_hidden_reads: so many Describe calls do not know that security group yet.
        cost_reply: what Cost Explorer answers.
        events: what happened by itself, a line each.
        port: where all this is answered, on 127.0.0.1.
        token_of_terminated_is_error: answer a token whose machine has ended with IdempotentInstanceTerminated, as EC2 did in
            January 2025, instead of with that machine.
    """

    moto: Moto
    timeline: Timeline
    hypervisor: Hypervisor
    faults: Faults = field(default_factory=Faults)
    durations: Durations = field(default_factory=Durations)
    machines: dict[str, Machine] = field(default_factory=dict)
    spot_requests: dict[str, SpotRequest] = field(default_factory=dict)
    quotas: dict[tuple[str, str], float] = field(default_factory=dict)
    group_hidden_reads: dict[str, int] = field(default_factory=dict)
    cost_reply: dict[str, Any] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    token_of_terminated_is_error: bool = False
    port: int = 0

    def in_region(self, region: str) -> list[Machine]:
        """Return the machines of a region, oldest first, those included that have just ended."""
        return [machine for machine in self.machines.values() if machine.region == region]

    def note(self, text: str) -> None:
        """Write down what happened by itself."""
        self.events.append(f"{self.timeline.now():%Y-%m-%dT%H:%M:%SZ} {text}")


Handler = Callable[[ApiCall], object]
"""Answers a call: a `Reply`, or what a reply is written from. Raises `CloudError`."""


def decoded(user_data: Any) -> bytes:
    """Return user data decoded; moto keeps it encoded, or None."""
    return base64.b64decode(str(user_data)) if user_data else b""


def tags_of(backend: Any, id: str) -> dict[str, str]:
    """Return the tags of anything in a region; moto's own way looks through all tags of all things."""
    return dict(backend.tags[id]) if id in backend.tags else {}


def fingerprint(parameters: dict[str, Any]) -> str:
    """Return what tells two requests apart, but for the token that is to make them one."""
    asked = {key: value for key, value in parameters.items() if key not in ("ClientToken", "DryRun")}
    return json.dumps(asked, sort_keys=True, default=str)


def refuse_dry_run(call: ApiCall) -> None:
    """End a call that was only a question.

    Raises:
        CloudError: DryRunOperation, which is EC2's word for yes.
    """
    if call.parameters.get("DryRun"):
        raise CloudError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
