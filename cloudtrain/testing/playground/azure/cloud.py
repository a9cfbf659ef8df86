"""The pretend Azure as one thing: start it, call it with any client, move its time, break it, and look at what happened."""

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ....clock import SystemClock
from ....model.clock import Clock
from ..calls import Reply
from ..clockwork import Works
from ..cloud import Parts, PretendCloud
from ..machine import Hypervisor
from ..server import LOOPBACK
from ..timeline import Timeline
from .account import LOCATIONS, Account, Durations
from .certificate import make_certificate
from .controls import looks, turns
from .lifecycle import NOTICE_S
from .network_rules import may_reach
from .router import Router, is_change
from .things import Machine
from .wheels import known_wheels
from .wire import ArmCall, ArmDialect


class AzureCloud(PretendCloud[ArmCall, Machine]):
    """A pretend Azure on a loopback port, with TLS: Resource Manager, Entra's tokens, retail prices and blobs at one origin.

    Calls are named "Microsoft.Compute:virtualMachines/PUT" and so on, `Entra:token` for a token.

    Attributes:
        account: everything it holds; a test may look at it and set its fields (`denied`, `registered`, `unavailable` …).
        certificate: the file that a caller has to trust: what REQUESTS_CA_BUNDLE is to be.
    """

    def __init__(self, hypervisor: Hypervisor, clock: Clock | None = None, port: int = 0) -> None:
        """Make an empty subscription whose machines run in `hypervisor`. Its time is `clock`'s, this computer's by default.

        Raises:
            ImportError: one of the azure-mgmt packages is not installed.
            OSError: the port is taken.
        """
        known_wheels()  # or fail here, and not at the first call
        self._folder = tempfile.TemporaryDirectory(prefix="cloudtrain-azure-")
        self.certificate, context = make_certificate(Path(self._folder.name), [LOOPBACK])
        self.account = Account(Timeline(clock or SystemClock()), hypervisor)
        self._router = Router(self.account)
        timeline = self.account.timeline
        works = Works(timeline.next_due, timeline.fire_due, self._router.lifecycle.powered_off, self.account.note)
        parts = Parts(ArmDialect(), works, self._answer_known, is_change, self._router.watch)
        try:
            super().__init__(parts, self.account, hypervisor, port, looks(self), turns(self), context)
        except OSError:
            self._folder.cleanup()
            raise
        self.account.url, self.account.port = self.url, int(self.url.rpartition(":")[2])
        self.account.certificate = self.certificate.read_text()

    @property
    def durations(self) -> Durations:
        """Return how long things last; its fields may be set."""
        return self.account.durations

    @property
    def prices_url(self) -> str:
        """Return where the Retail Prices API is."""
        return f"{self.url}/api/retail/prices"

    @property
    def subscription(self) -> str:
        """Return the id of the one subscription there is."""
        return self.account.subscription

    @property
    def grace_s(self) -> float:
        """Return how long a machine may run without a scheduled end before it is a violation; may be set."""
        return self._router.rules.grace_s

    @grace_s.setter
    def grace_s(self, seconds: float) -> None:
        self._router.rules.grace_s = seconds

    def close(self) -> None:
        """Stop answering. The hypervisor is its maker's to close."""
        super().close()
        self._folder.cleanup()

    def advance(self, seconds: float) -> None:
        """Move the time on, and look at what has become of the machines without an end."""
        super().advance(seconds)
        with self._clockwork.lock:
            self._router.watch.look(len(self._recorder.records()))

    def reclaim(self, id: str, notice_s: float = NOTICE_S) -> None:
        """Evict a Spot machine: the scheduled event now, the end when the notice has passed.

        Raises:
            KeyError: there is no such machine.
            ValueError: it is no running Spot machine.
        """
        with self._clockwork.lock:
            self._clockwork.settle()
            self._router.lifecycle.reclaim(self.account.machine(id), notice_s)
            self._clockwork.settle()

    def set_quota(self, code: str, value: float, regions: Sequence[str] = tuple(LOCATIONS)) -> None:
        """Set a limit in vCPUs by its usage's name: "cores", "lowPriorityCores", "standardNCASv3_T4Family".

        Raises:
            KeyError: there is no such quota.
        """
        with self._clockwork.lock:
            self._router.places.set_quota(code, value, regions)

    def set_price_page(self, items: int) -> None:
        """Let so many prices be on a page."""
        self._router.prices.page_size = items

    def may_reach(self, source: str, id: str, port: int = 22) -> bool:
        """Say whether the security groups let an address connect to a machine's TCP port.

        Raises:
            KeyError: there is no such machine.
        """
        with self._clockwork.lock:
            return may_reach(self.account, source, self.account.machine(id), port)

    def billed_hours(self, id: str) -> float:
        """Return how long a machine has billed for compute, one that is gone as well: a stopped one bills, a deallocated not.

        Raises:
            KeyError: there never was such a machine.
        """
        with self._clockwork.lock:
            self._clockwork.settle()
            for machine in (*self.account.machines.values(), *self.account.gone):
                if id.lower() in (machine.id.lower(), machine.name.lower(), machine.resource.id.lower()):
                    return machine.meter.hours(self.account.timeline.now())
        raise KeyError(id)

    def ends_of(self, id: str) -> list[datetime]:
        """Return when the cloud itself will deallocate a machine, soonest first.

        Raises:
            KeyError: there is no such machine.
        """
        with self._clockwork.lock:
            return self._router.schedules.ends_of(self.account.machine(id))

    def _answer_known(self, call: ArmCall) -> tuple[Reply, str]:
        self._router.rules.callers.add(str(call.environ.get("REMOTE_ADDR", "")))
        return self._router.answer(call)
