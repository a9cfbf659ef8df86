"""What every pretend cloud has: an origin that answers, a clock that moves, and a memory of what was asked."""

import dataclasses
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from .calls import Call, Reply
from .clockwork import Clockwork, Works
from .control import Control
from .faults import Faults
from .front import Dialect, Front
from .machine import Hypervisor
from .recorder import Record, Recorder
from .server import LoopbackServer
from .timeline import Timeline
from .violations import Violation, Watch

C = TypeVar("C", bound=Call)
M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


class Holdings(Protocol[M_co]):
    """What a pretend cloud holds, as far as all of them are alike."""

    @property
    def faults(self) -> Faults: ...
    @property
    def timeline(self) -> Timeline: ...
    @property
    def events(self) -> list[str]: ...
    @property
    def machines(self) -> Mapping[Any, M_co]: ...


@dataclass(frozen=True, slots=True)
class Parts(Generic[C]):
    """How one cloud differs from the others.

    Attributes:
        answer: answers a call; it is asked with the lock held.
        is_change: says whether a call changes something, after which everything is looked at for what must never be.
    """

    dialect: Dialect[C]
    works: Works
    answer: Callable[[C], tuple[Reply, str]]
    is_change: Callable[[C], bool]
    watch: Watch


class PretendCloud(Generic[C, M]):
    """A pretend cloud on a loopback port. A cloud of one kind hands its parts over and adds its own levers.

    Use as a context manager, or `start` and `close`. Every method may be called from any thread.
    """

    def __init__(
        self,
        parts: Parts[C],
        holdings: Holdings[M],
        hypervisor: Hypervisor,
        port: int,
        looks: Mapping[str, Callable[[], object]],
        turns: Mapping[str, Callable[..., object]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Bind at once. `looks` and `turns` are the cloud's own, beside those that all have (see `Control`).

        Raises:
            OSError: the port is taken.
        """
        self._parts, self._holdings = parts, holdings
        self._recorder = Recorder()
        self._clockwork = Clockwork(parts.works, holdings.timeline, hypervisor)
        self._front = Front(parts.dialect, self._answer, self.faults, self._recorder, holdings.timeline.now)
        control = Control(self._front, {**self._looks(), **looks}, {**self._turns(), **turns})
        self._server = LoopbackServer(control, port, tls)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()

    @property
    def faults(self) -> Faults:
        """Return what is to go wrong."""
        return self._holdings.faults

    @property
    def url(self) -> str:
        """Return the origin."""
        return self._server.url

    def start(self) -> None:
        """Answer from now on."""
        self._server.start()
        self._clockwork.start()

    def close(self) -> None:
        """Stop answering. The hypervisor is its maker's to close."""
        self._clockwork.close()
        self._server.close()

    def power_off(self, id: str) -> None:
        """Take note that a machine's own operating system has switched it off: what a hypervisor's `on_power_off` calls."""
        self._clockwork.power_off(id)

    def advance(self, seconds: float) -> None:
        """Move the time on: everything due on the way happens in order, in the cloud and on its machines.

        Raises:
            ValueError: time does not go back.
        """
        self._clockwork.advance(seconds)

    def settle(self) -> None:
        """Let everything happen that is due."""
        self._clockwork.settle()

    def machines(self) -> list[M]:
        """Return every machine that the cloud still knows, oldest first."""
        with self._clockwork.lock:
            self._clockwork.settle()
            return list(self._holdings.machines.values())

    def calls(self) -> list[Record]:
        """Return every call so far, named as the cloud names it."""
        return self._recorder.records()

    def forget_calls(self) -> None:
        """Forget the calls so far."""
        self._recorder.clear()

    def violations(self) -> list[Violation]:
        """Return everything seen that must never be."""
        with self._clockwork.lock:
            return self._parts.watch.violations()

    def _answer(self, call: C, seq: int) -> tuple[Reply, str]:
        with self._clockwork.lock:
            self._clockwork.settle()
            reply = self._parts.answer(call)
            if self._parts.is_change(call):
                self._parts.watch.look(seq)
        self._clockwork.wake()  # what the caller has seen may have made something due
        return reply

    def _looks(self) -> dict[str, Callable[[], object]]:
        return {
            "calls": lambda: [dataclasses.asdict(record) for record in self.calls()],
            "violations": lambda: [dataclasses.asdict(violation) for violation in self.violations()],
            "events": lambda: list(self._holdings.events),
            "time": lambda: f"{self._holdings.timeline.now():%Y-%m-%dT%H:%M:%SZ}",
        }

    def _turns(self) -> dict[str, Callable[..., object]]:
        return {
            "clock": self.faults.set_caller_ahead,
            "faults": self.faults.add,
            "clear-faults": self.faults.clear,
            "stale": lambda reads: setattr(self.faults, "stale_reads", int(reads)),
            "advance": self.advance,
            "power-off": self.power_off,
            "forget-calls": self.forget_calls,
        }
