"""One pretend machine: what was ordered, and what time makes of it."""

import hashlib
import re
from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from ...model.instance import Instance, InstanceRef, InstanceState, LaunchOrder, MemoryEndpoint
from ...model.lease import Lease
from ...model.offer import Offer
from ...model.spec import Market, OnFinish
from .market import NAME, USD_PER_MONTH_STOPPED


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as the pretend cloud knows it.

    Attributes:
        ready_at: when a booting machine runs.
        deadline: when the cloud ends it; None while it is stopped, since no meter runs then and the disk is to be kept.
    """

    id: str
    token: str
    name: str
    owner: str
    instance_type: str
    region: str
    market: Market
    usd_per_hour: float | None
    launched_at: datetime
    ready_at: datetime
    deadline: datetime | None
    state: InstanceState = InstanceState.PENDING
    at_deadline: OnFinish = OnFinish.TERMINATE
    gpu_count: int = 0

    @classmethod
    def ordered(cls, order: LaunchOrder, id: str, now: datetime, boot_s: float) -> "Machine":
        """Make a machine that begins to boot now."""
        return cls(
            id=id,
            token=order.token,
            name=order.machine.name,
            owner=order.owner,
            instance_type=order.offer.instance_type,
            region=order.offer.region,
            market=order.offer.market,
            usd_per_hour=order.offer.usd_per_hour,
            launched_at=now,
            ready_at=now + timedelta(seconds=boot_s),
            deadline=order.lease.deadline,
            at_deadline=order.at_deadline,
            gpu_count=order.offer.gpu_count,
        )

    @property
    def is_on(self) -> bool:
        """Say whether it boots or runs."""
        return self.state in (InstanceState.PENDING, InstanceState.RUNNING)

    def at(self, now: datetime) -> "Machine":
        """Return what time has made of it: booted, or ended by its deadline."""
        if self.is_on and self.deadline is not None and now >= self.deadline:
            return self.stopped() if self.at_deadline is OnFinish.STOP else self.ended()
        if self.state is InstanceState.PENDING and now >= self.ready_at:
            return replace(self, state=InstanceState.RUNNING)
        return self

    def ended(self) -> "Machine":
        """Return it terminated."""
        return replace(self, state=InstanceState.TERMINATED)

    def stopped(self) -> "Machine":
        """Return it switched off, its disk kept and its lease over."""
        return replace(self, state=InstanceState.STOPPED, deadline=None)

    def started(self, lease: Lease, now: datetime, boot_s: float) -> "Machine":
        """Return it under a new lease: booting, or as it is when it is on."""
        if self.is_on:
            return replace(self, deadline=lease.deadline)
        ready_at = now + timedelta(seconds=boot_s)
        return replace(self, state=InstanceState.PENDING, deadline=lease.deadline, ready_at=ready_at)

    def resized(self, offer: Offer) -> "Machine":
        """Return it with another type and price."""
        return replace(self, instance_type=offer.instance_type, usd_per_hour=offer.usd_per_hour, gpu_count=offer.gpu_count)

    def shown(self, root: Path) -> Instance:
        """Return it in the contract's words; `root` is the folder that plays it."""
        runs = self.state is InstanceState.RUNNING
        return Instance(
            ref=InstanceRef(NAME, self.id, self.region),
            name=self.name,
            state=self.state,
            token=self.token,
            owner=self.owner,
            instance_type=self.instance_type,
            address="localhost" if runs else "",
            endpoint=MemoryEndpoint(root) if runs else None,
            usd_per_hour=self.usd_per_hour,
            usd_per_month_stopped=USD_PER_MONTH_STOPPED,
            launched_at=self.launched_at,
            deadline=self.deadline,
            market=self.market,
            gpu_count=self.gpu_count,
        )


def id_for(token: str, taken: Container[str]) -> str:
    """Return a machine's id for a token, longer than usual when two tokens would meet in the short one."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    short = f"mem-{digest[:8]}"
    return f"mem-{digest}" if short in taken else short


def is_id(text: str) -> bool:
    """Say whether a text has the form of an id, and so names a folder of ours and nothing else."""
    return re.fullmatch(r"mem-[0-9a-f]+", text) is not None
