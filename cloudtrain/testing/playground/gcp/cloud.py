"""The pretend Google Cloud as one thing: start it, call it with any client, move its time, break it, look at what happened."""

from collections.abc import Sequence

from ....clock import SystemClock
from ....model.clock import Clock
from ..clockwork import Works
from ..cloud import Parts, PretendCloud
from ..machine import Hypervisor
from ..timeline import Timeline
from .account import Account, Durations, Machine
from .buckets import Bucket
from .controls import looks, turns
from .discovery import check_installed
from .hardware import REGIONS
from .identities import Identity
from .network import may_reach
from .router import Router
from .wire import GoogleCall, GoogleDialect

READS = ("get", "list", "aggregatedList", "wait", "getFromFamily", "testIamPermissions")


class GcpCloud(PretendCloud[GoogleCall, Machine]):
    """A pretend Google Cloud on a loopback port, all services at one origin under their own paths.

    Compute Engine is at `/compute/v1/` below its `url`; calls are named by Google's method ids. A call is let in with
    `Authorization: Bearer playground`, or with a token that the double gave.

    Attributes:
        account: everything it holds; a test may look at it and set its fields (`denied`, `disabled_services` …).
    """

    def __init__(self, hypervisor: Hypervisor, clock: Clock | None = None, port: int = 0) -> None:
        """Make an empty project whose machines run in `hypervisor`. Its time is `clock`'s, this computer's by default.

        Raises:
            ImportError: google-api-python-client is not installed.
            OSError: the port is taken.
        """
        check_installed()
        self.account = Account(Timeline(clock or SystemClock()), hypervisor)
        self._router = Router(self.account)
        timeline = self.account.timeline
        works = Works(timeline.next_due, timeline.fire_due, self._router.lifecycle.powered_off, self.account.note)
        parts = Parts(GoogleDialect(), works, self._router.answer, _is_change, self._router.watch)
        super().__init__(parts, self.account, hypervisor, port, looks(self), turns(self))
        self.account.port = int(self.url.rpartition(":")[2])

    @property
    def durations(self) -> Durations:
        """Return how long the transitions last; its fields may be set."""
        return self.account.durations

    @property
    def project(self) -> str:
        """Return the id of the one project there is."""
        return self.account.project

    def reclaim(self, id: str, notice_s: float | None = None) -> None:
        """Preempt a Spot machine: told at once, ended when the notice that it asked for and ACPI's 30 seconds have passed.

        A TPU node ("tpu-NAME") is taken without a word.

        Raises:
            KeyError: there is no such machine.
            ValueError: it is no running Spot machine.
        """
        with self._clockwork.lock:
            self._clockwork.settle()
            if id.startswith("tpu-"):
                self._router.tpus.preempt(id)
            else:
                self._router.lifecycle.reclaim(self.account.machine(id), notice_s)
            self._clockwork.settle()

    def make_service_account(self, name: str) -> Identity:
        """Make a service account; its `key_file(token_uri)` is what GOOGLE_APPLICATION_CREDENTIALS may name.

        `token_uri` is `url` + "/token".
        """
        with self._clockwork.lock:
            email = f"{name}@{self.project}.iam.gserviceaccount.com"
            return self.account.identities.setdefault(email, Identity(email, self.account.new_id(), self.project))

    def make_bucket(self, name: str, location: str = "US-CENTRAL1") -> Bucket:
        """Make a bucket; its `put(name, content, made)` keeps an object."""
        with self._clockwork.lock:
            return self.account.buckets.setdefault(name, Bucket(name, location, self.account.timeline.now()))

    def set_quota(self, code: str, value: float, regions: Sequence[str] = REGIONS) -> None:
        """Set a limit by its metric ("NVIDIA_L4_GPUS", "GPUS_ALL_REGIONS") or GPU family ("NVIDIA_H100"), Spot by PREEMPTIBLE_.

        Raises:
            KeyError: there is no such quota.
        """
        with self._clockwork.lock:
            self._router.quotas.set(code, value, regions)

    def may_reach(self, source: str, id: str, port: int = 22) -> bool:
        """Say whether the firewall lets an address connect to a machine's TCP port.

        Raises:
            KeyError: there is no such machine.
        """
        with self._clockwork.lock:
            return may_reach(self.account, source, self.account.machine(id), port)


def _is_change(call: GoogleCall) -> bool:
    return call.action.rpartition(".")[2] not in READS
