"""The pretend AWS as one thing: start it, call it with any SDK, move its time, break it, and look at what happened."""

from collections.abc import Sequence
from typing import Any

from ....clock import SystemClock
from ....model.clock import Clock
from ..clockwork import Works
from ..cloud import Parts, PretendCloud
from ..machine import Hypervisor
from ..timeline import Timeline
from .account import Account, Durations, Machine
from .controls import looks, turns
from .front import AwsDialect
from .hardware import add_missing_types
from .lifecycle import NOTICE_S, Lifecycle
from .moto_app import REGIONS, Moto
from .router import Router
from .wire import ApiCall

READS = ("Describe", "Get", "List", "Head")


class AwsCloud(PretendCloud[ApiCall, Machine]):
    """A pretend AWS on a loopback port. One at a time in a process: moto keeps its state there.

    Its `url` is what `AWS_ENDPOINT_URL` is to be.

    Attributes:
        account: everything it holds; a test may look at it and set its fields.
    """

    def __init__(self, hypervisor: Hypervisor, clock: Clock | None = None, port: int = 0) -> None:
        """Make an empty cloud whose machines run in `hypervisor`. Its time is `clock`'s, this computer's by default.

        Raises:
            OSError: the port is taken.
        """
        add_missing_types()
        self.account = Account(Moto(), Timeline(clock or SystemClock()), hypervisor)
        self._lifecycle = Lifecycle(self.account)
        self._router = Router(self.account, self._lifecycle)
        works = Works(self._router.next_due, self._router.fire_due, self._lifecycle.powered_off, self.account.note)
        parts = Parts(AwsDialect(), works, self._router.answer, _is_change, self._router.watch)
        super().__init__(parts, self.account, hypervisor, port, looks(self), turns(self))
        self.account.port = int(self.url.rpartition(":")[2])

    @property
    def durations(self) -> Durations:
        """Return how long the transitions last; its fields may be set."""
        return self.account.durations

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


def _is_change(call: ApiCall) -> bool:
    return not call.action.startswith(READS)
