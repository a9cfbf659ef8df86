"""The pretend AWS as one thing: start it, call it with any SDK, move its time, break it, and look at what happened."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from ....clock import SystemClock
from ....model.clock import Clock
from ..calls import Reply
from ..clockwork import Clockwork, Works
from ..control import Control
from ..faults import Faults
from ..front import Front
from ..machine import Hypervisor
from ..recorder import Record, Recorder
from ..server import LoopbackServer
from ..timeline import Timeline
from ..violations import Violation
from .account import Account, Durations, Machine
from .controls import looks, turns
from .front import AwsDialect
from .hardware import add_missing_types
from .lifecycle import NOTICE_S, Lifecycle
from .moto_app import REGIONS, Moto
from .router import Router
from .wire import ApiCall

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
        self._recorder = Recorder()
        self.account = Account(Moto(), Timeline(clock or SystemClock()), hypervisor)
        self._lifecycle = Lifecycle(self.account)
        self._router = Router(self.account, self._lifecycle)
        works = Works(self._router.next_due, self._router.fire_due, self._lifecycle.powered_off, self.account.note)
        self._clockwork = Clockwork(works, self.account.timeline, hypervisor)
        self._front = Front(AwsDialect(), self._answer, self.faults, self._recorder, self.account.timeline.now)
        self._server = LoopbackServer(Control(self._front, looks(self), turns(self)), port)

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

    def reclaim(self, id: str, notice_s: float = NOTICE_S) -> None:
        """Let the spot market take a machine back: the notice now, the end when the cloud's clock has passed it.

        Raises:
            KeyError: there is no such machine.
            ValueError: it is no running spot machine.
        """
        with self._clockwork.lock:
            self._clockwork.settle()
            self._lifecycle.reclaim(self.account.machines[id], notice_s)
            self._clockwork.settle()

    def set_quota(self, code: str, value: float, regions: Sequence[str] = REGIONS) -> None:
        """Set a limit in vCPUs by its quota code.

        Raises:
            KeyError: there is no such quota.
        """
        with self._clockwork.lock:
            self._router.quotas.set(code, value, regions)

    def set_costs(self, reply: dict[str, Any]) -> None:
        """Set what Cost Explorer's GetCostAndUsage answers, whole."""
        with self._clockwork.lock:
            self.account.cost_reply = reply

    def settle(self) -> None:
        """Let everything happen that is due."""
        self._clockwork.settle()

    def machines(self) -> list[Machine]:
        """Return every machine that EC2 still knows, oldest first."""
        with self._clockwork.lock:
            self._clockwork.settle()
            return list(self.account.machines.values())

    def calls(self) -> list[Record]:
        """Return every call of the API so far."""
        return self._recorder.records()

    def forget_calls(self) -> None:
        """Forget the calls so far."""
        self._recorder.clear()

    def violations(self) -> list[Violation]:
        """Return everything seen that must never be."""
        with self._clockwork.lock:
            return self._router.watch.violations()

    def _answer(self, call: ApiCall, seq: int) -> tuple[Reply, str]:
        with self._clockwork.lock:
            self._clockwork.settle()
            reply = self._router.answer(call)
            if not call.action.startswith(READS):
                self._router.watch.look(seq)
        self._clockwork.wake()  # what the caller has seen may have made something due
        return reply
