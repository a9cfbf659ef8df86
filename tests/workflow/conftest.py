"""A whole small world: the memory cloud, real folders, a real guest and real jobs; only clock and patience are ours."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudtrain.journey import Interrupt, Tools
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.event import Event, LogChunk, Note, StageStarted
from cloudtrain.model.instance import Endpoint, MemoryEndpoint
from cloudtrain.model.spec import JobSpec, MachineSpec
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.memory import DictStore, MemoryProvider
from cloudtrain.remote.memory import MemoryRemote
from cloudtrain.testing.clock import FakeClock

MACHINE = MachineSpec("cloudy", "memory", instance_types=("mem.cpu",))


@dataclass
class World:
    """Everything a test of the story looks at."""

    folder: Path
    provider: MemoryProvider
    clock: FakeClock
    ledger: Ledger
    events: list[Event] = field(default_factory=list)
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    on_line: list[Callable[[MemoryRemote], None]] = field(default_factory=list)
    answer: Interrupt = Interrupt.SHUT_DOWN
    environ: dict[str, str] = field(default_factory=dict)
    wait: Callable[[threading.Event, float], bool] = lambda over, _: over.wait()

    @property
    def tools(self) -> Tools:
        return Tools(
            ledger=self.ledger,
            clock=self.clock,
            tell=self._tell,
            open_provider=lambda _: self.provider,
            open_remote=self._open_remote,
            owner="me-here",
            on_interrupt=lambda _: self.answer,
            environ=self.environ,
            wait=self.wait,
        )

    def job(self, command: str, **changes: object) -> JobSpec:
        folder = self.folder / "job"
        folder.mkdir(exist_ok=True)
        return JobSpec("thing", folder, command, **changes)  # type: ignore[arg-type]

    @property
    def log(self) -> bytes:
        return b"".join(event.content for event in self.events if isinstance(event, LogChunk))

    @property
    def notes(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Note))

    @property
    def stages(self) -> list[str]:
        return [event.stage for event in self.events if isinstance(event, StageStarted)]

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        for listener in list(self.listeners):
            listener(event)

    def _open_remote(self, endpoint: Endpoint) -> MemoryRemote:
        assert isinstance(endpoint, MemoryEndpoint)
        remote = MemoryRemote(endpoint.root)
        for prepare in self.on_line:
            prepare(remote)
        return remote


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = FakeClock(datetime.now(UTC))
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger.open(tmp_path / "home", clock))
        settings = ProviderSettings(tmp_path / "cloud", clock, lambda _: (), None)
        provider = MemoryProvider(settings, DictStore())
        yield World(tmp_path, provider, clock, ledger)
        for instance in provider.list_owned():
            provider.terminate(instance.ref)  # No test leaves a job running.
