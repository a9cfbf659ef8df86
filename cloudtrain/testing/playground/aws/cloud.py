"""The pretend AWS as one thing: start it, call it with any SDK, move its time, break it, and look at what happened."""

import traceback
from collections.abc import Sequence
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Event, RLock, Thread
from types import TracebackType
from typing import Any

from ....clock import SystemClock
from ....model.clock import Clock
from ..control import Control
from ..faults import Faults
from ..machine import Hypervisor
from ..server import LoopbackServer
from .account import Account, Durations, Machine
from .controls import looks, turns
from .front import Front
from .hardware import add_missing_types
from .lifecycle import NOTICE_S, Lifecycle
from .moto_app import REGIONS, Moto
from .recorder import Record, Recorder
from .router import Router
from .timeline import Timeline
from .violations import Violation
from .wire import ApiCall, Reply

LONGEST_WAIT_S = 3600.0
READS = ("Describe", "Get", "List", "Head")


class AwsCloud:
    """A pretend AWS on a loopback port. One at a time in a process: moto keeps its state there.

    Use as a context manager, or `start` and `close`. Every method may be called from any thread.

    Attributes:
        faults: what is to go wrong.
        durations: how long the transitions last.
        account: everything it holds; a test may look at it and set its fields.
    """

    def __init__(self, hypervisor: Hypervisor, clock: Clock | None = None, port: int = 0) -> None:
        """Make an empty cloud whose machines run in `hypervisor`. Its time is `clock`'s, this computer's by default.

        Raises:
            OSError: the port is taken.
        """
        add_missing_types()
        self._lock = RLock()
        self._woken, self._closing = Event(), False
        self._switched_off: SimpleQueue[str] = SimpleQueue()
        self._recorder = Recorder()
        self.account = Account(Moto(), Timeline(clock or SystemClock()), hypervisor)
        self._lifecycle = Lifecycle(self.account)
        self._router = Router(self.account, self._lifecycle)
        self._front = Front(self._answer, self.faults, self._recorder, self.account.timeline.now)
        self._server = LoopbackServer(Control(self._front, looks(self), turns(self)), port)
        self._ticker = Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "AwsCloud":
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()

    @property
    def faults(self) -> Faults:
        """Return what is to go wrong."""
        return self.account.faults

    @property
    def durations(self) -> Durations:
        """Return how long the transitions last; its fields may be set."""
        return self.account.durations

    @property
    def url(self) -> str:
        """Return what `AWS_ENDPOINT_URL` is to be."""
        return self._server.url

    def start(self) -> None:
        """Answer from now on."""
        self._server.start()
        self._ticker.start()

    def close(self) -> None:
        """Stop answering. The hypervisor is its maker's to close."""
        self._closing = True
        self._woken.set()
        if self._ticker.is_alive():
            self._ticker.join()
        self._server.close()

    def power_off(self, id: str) -> None:
        """Take note that a machine's own operating system has switched it off: what a hypervisor's `on_power_off` calls."""
        self._switched_off.put(id)
        self._woken.set()

    def advance(self, seconds: float) -> None:
        """Move the time on: everything due on the way happens in order, in the cloud and on its machines.

        Raises:
            ValueError: time does not go back.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        with self._lock:
            end = self.account.timeline.now() + timedelta(seconds=seconds)
            while (due := self._router.next_due()) is not None and due <= end:
                self._skip((due - self.account.timeline.now()).total_seconds())
                self._settle()
            self._skip((end - self.account.timeline.now()).total_seconds())
            self._settle()

    def reclaim(self, id: str, notice_s: float = NOTICE_S) -> None:
        """Let the spot market take a machine back: the notice now, the end when the cloud's clock has passed it.

        Raises:
            KeyError: there is no such machine.
            ValueError: it is no running spot machine.
        """
        with self._lock:
            self._settle()
            self._lifecycle.reclaim(self.account.machines[id], notice_s)
            self._settle()

    def set_quota(self, code: str, value: float, regions: Sequence[str] = REGIONS) -> None:
        """Set a limit in vCPUs by its quota code.

        Raises:
            KeyError: there is no such quota.
        """
        with self._lock:
            self._router.quotas.set(code, value, regions)

    def set_costs(self, reply: dict[str, Any]) -> None:
        """Set what Cost Explorer's GetCostAndUsage answers, whole."""
        with self._lock:
            self.account.cost_reply = reply

    def settle(self) -> None:
        """Let everything happen that is due."""
        with self._lock:
            self._settle()

    def machines(self) -> list[Machine]:
        """Return every machine that EC2 still knows, oldest first."""
        with self._lock:
            self._settle()
            return list(self.account.machines.values())

    def calls(self) -> list[Record]:
        """Return every call of the API so far."""
        return self._recorder.records()

    def forget_calls(self) -> None:
        """Forget the calls so far."""
        self._recorder.clear()

    def violations(self) -> list[Violation]:
        """Return everything seen that must never be."""
        with self._lock:
            return self._router.watch.violations()

    def _answer(self, call: ApiCall, seq: int) -> tuple[Reply, str]:
        with self._lock:
            self._settle()
            reply = self._router.answer(call)
            if not call.action.startswith(READS):
                self._router.watch.look(seq)
        self._woken.set()  # what the caller has seen may have made something due
        return reply

    def _settle(self) -> None:
        try:
            self._hear_of_power_offs()
            self._router.fire_due()
            self._hear_of_power_offs()
        except Exception:  # not the caller's fault, and the cloud must not stand still: whoever looks at the events is told
            self.account.note(f"broke by itself: {traceback.format_exc()}")

    def _hear_of_power_offs(self) -> None:
        while True:
            try:
                self._lifecycle.powered_off(self._switched_off.get_nowait())
            except Empty:
                return

    def _skip(self, seconds: float) -> None:
        if seconds > 0:
            self.account.timeline.skip(seconds)
            self.account.hypervisor.advance(seconds)

    def _tick(self) -> None:
        """Let things happen when nobody calls."""
        while not self._closing:
            with self._lock:
                self._settle()
                due = self._router.next_due()
                wait = LONGEST_WAIT_S if due is None else (due - self.account.timeline.now()).total_seconds()
            self._woken.wait(min(max(wait, 0.01), LONGEST_WAIT_S))
            self._woken.clear()
