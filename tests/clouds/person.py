"""Somebody at a computer of their own, in front of a pretend cloud."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cloudtrain import machines, overview, sweeping, wiring
from cloudtrain.clock import SystemClock
from cloudtrain.config.machine import load_machine
from cloudtrain.journey import Tools
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.clock import Clock
from cloudtrain.model.event import Event, Note
from cloudtrain.model.instance import Instance, InstanceRef, Leftover
from cloudtrain.model.spec import Budget, MachineSpec
from cloudtrain.providers.base import Provider, ProviderSettings

from .killing import Helper, Typed
from .pretend import Pretend

LATER_S = 660.0
"""When a person looks after a command was killed: what was just made is known everywhere by then, and nobody makes it still."""


class AheadClock:
    """This computer's clock, ahead of itself; sleeping moves it."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.ahead_s = ahead_s
        self._real = SystemClock()

    def now(self) -> datetime:
        return self._real.now() + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return self._real.monotonic() + self.ahead_s

    def sleep(self, seconds: float) -> None:
        self.ahead_s += seconds


class CloudClock:
    """A pretend cloud's own time; sleeping lets that pass, and everything that is due by then happens there.

    Attributes:
        slept: the pauses so far, in seconds.
    """

    def __init__(self, cloud: Any) -> None:
        self.slept: list[float] = []
        self._cloud = cloud

    def now(self) -> datetime:
        return self._cloud.account.timeline.now()

    def monotonic(self) -> float:
        return self.now().timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._cloud.advance(seconds)


@dataclass
class Person:
    """Somebody at a computer of their own: commands as processes of their own, or the same done here, which is faster."""

    folder: Path
    helper: Helper
    environ: dict[str, str]
    pretend: Pretend

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def owner(self) -> str:
        """Return what this person's machines are tagged with."""
        return wiring.this_owner().replace(os.environ["USER"], self.environ["USER"], 1)

    def begin(self, *words: str, ahead_s: float = 0.0) -> Typed:
        """Type a command and do not wait for it."""
        return self.helper.begin(words, self.environ, self.folder, ahead_s=ahead_s)

    def type(self, *words: str, ahead_s: float = 0.0, codes: tuple[int, ...] = (0,)) -> Typed:
        """Type a command and wait for its end."""
        typed = self.begin(*words, ahead_s=ahead_s).wait()
        assert typed.status in codes, f"{words}: {typed.status}\n{typed.stdout}\n{typed.stderr}"
        return typed

    @contextmanager
    def tools(self, ahead_s: float = 0.0, said: list[str] | None = None, *, clock: Clock | None = None) -> Iterator[Tools]:
        """Open what a command works with, by a clock that is ahead or one's own; the SDK's clients are made once for all."""
        clock = clock or AheadClock(ahead_s)

        def tell(event: Event) -> None:
            if said is not None and isinstance(event, Note):
                said.append(event.text)

        with Ledger.open(self.home, clock) as ledger:
            yield Tools(
                ledger=ledger,
                clock=clock,
                tell=tell,
                open_provider=lambda machine: self._provider(machine, clock),
                open_remote=wiring._open_remote,
                owner=self.owner,
                on_interrupt=wiring.shut_down_on_interrupt,
                provider_names=(self.pretend.name,),
            )

    def start(self, name: str = "", ahead_s: float = 0.0) -> Instance:
        """Start a machine by name, the cheap one when none is named, and do not wait for it."""
        with self.tools(ahead_s) as tools:
            return machines.start(load_machine(name or self.pretend.machine), tools, budget=Budget(), wait=False)

    def status(self, ahead_s: float = LATER_S) -> overview.Status:
        """Look at everything there is."""
        with self.tools(ahead_s) as tools:
            return overview.status(tools)

    def sweep(self, ahead_s: float = LATER_S) -> sweeping.Swept:
        """End what `status` shows and no run needs."""
        with self.tools(ahead_s) as tools:
            status = overview.status(tools)
            assert not status.silent
            found: list[InstanceRef | Leftover] = [each.instance.ref for each in sweeping.unneeded(status)]
            return sweeping.sweep([*found, *status.leftovers], tools)

    def open_orders(self) -> list[str]:
        """Return the orders whose outcome the ledger does not know."""
        with Ledger.open(self.home, SystemClock()) as ledger:
            return [order.token for order in ledger.open_intents()]

    def keys(self) -> list[str]:
        """Return the folders of keys that lie on this person's computer."""
        shelf = self.home / self.pretend.name / "keys"
        return sorted(path.name for path in shelf.iterdir()) if shelf.exists() else []

    def _provider(self, machine: MachineSpec, clock: Clock) -> Provider:
        return self.pretend.open_provider(ProviderSettings(self.home, clock, wiring.known_prices, machine))
