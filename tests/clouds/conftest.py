"""People with `cloudtrain`, and a pretend cloud whose machines are only written down, or are SSH hosts on this computer."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloudtrain import machines, overview, sweeping, wiring
from cloudtrain.clock import SystemClock
from cloudtrain.config.machine import load_machine
from cloudtrain.journey import Tools
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.event import Event, Note
from cloudtrain.model.instance import Instance, InstanceRef, Leftover
from cloudtrain.model.spec import Budget, MachineSpec
from cloudtrain.providers.aws.clients import Clients
from cloudtrain.providers.base import Provider, ProviderSettings
from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.faults import When
from cloudtrain.testing.playground.hypervisor import LocalHypervisor, open_hypervisor
from cloudtrain.testing.playground.machine import Booted, MachineOrder

from . import aws, azure, gcp
from .faulted import FAULTED, Faulted
from .killing import Helper, Typed
from .pretend import Pretend, deadline_in

OPENED: Mapping[str, Callable[..., AbstractContextManager[Pretend]]] = {
    "aws": aws.opened,
    "gcp": gcp.opened,
    "azure": azure.opened,
}
"""How each cloud is opened. A test names those that it is for: `@pytest.mark.parametrize("world", [...], indirect=True)`."""

LATER_S = 660.0
"""When a person looks after a command was killed: what was just made is known everywhere by then, and nobody makes it still."""

DAY_S = 25 * 3600.0
"""Longer than the lease of every order here: then even an order that nobody heard of again is closed."""


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


class Notebook:
    """A hypervisor that boots nothing. It reads in the user data whether each machine would have known its end."""

    def __init__(self) -> None:
        self.booted = 0
        self.unarmed: list[str] = []
        self.own_ends: tuple[str, ...] = ()

    def boot(self, order: MachineOrder) -> Booted:
        self.booted += 1
        deadline = deadline_in(order.user_data, self.own_ends)
        if deadline is None or deadline <= datetime.now(UTC):
            self.unarmed.append(f"{order.id} booted with the deadline {deadline}")
        return Booted(f"127.0.1.{self.booted % 250 + 1}")

    def reboot(self, id: str) -> None:
        pass

    switch_off = destroy = reboot

    def set_metadata(self, id: str, path: str, text: str | None) -> None:
        pass

    def advance(self, seconds: float) -> None:
        pass

    def close(self) -> None:
        pass


class Hosts(Notebook):
    """Hosts that are really booted, and noted all the same."""

    def __init__(self, real: LocalHypervisor) -> None:
        super().__init__()
        self._real = real
        for name in ("reboot", "switch_off", "destroy", "set_metadata", "advance", "close"):
            setattr(self, name, getattr(real, name))

    def boot(self, order: MachineOrder) -> Booted:
        super().boot(order)
        return self._real.boot(order)


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
    def tools(self, ahead_s: float = 0.0, said: list[str] | None = None) -> Iterator[Tools]:
        """Open what a command works with, by a clock of one's own; the SDK's clients are made once for all."""
        clock = AheadClock(ahead_s)

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

    def _provider(self, machine: MachineSpec, clock: AheadClock) -> Provider:
        return self.pretend.open_provider(ProviderSettings(self.home, clock, wiring.known_prices, machine))


@dataclass
class World:
    """A pretend cloud and its people."""

    pretend: Pretend
    hypervisor: Notebook
    helper: Helper
    folder: Path
    proxy_command: str = "false"  # no machine answers

    @property
    def aws(self) -> AwsCloud:
        """Return the pretend AWS."""
        assert isinstance(self.pretend, aws.Aws)
        return self.pretend.cloud

    @property
    def clients(self) -> Clients:
        """Return the SDK's clients of the pretend AWS."""
        assert isinstance(self.pretend, aws.Aws)
        return self.pretend.clients

    def person(self, name: str = "alice", computer: str = "") -> Person:
        """Return somebody whose account is set up and who has never rented anything."""
        folder = self.folder / (computer or name)
        (folder / "home").mkdir(parents=True, exist_ok=True)
        self.pretend.settle_in(folder / "home")
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "USER": name,
            "LOGNAME": name,
            "NO_COLOR": "1",
            "CLOUDTRAIN_HOME": str(folder / "home"),
            "CLOUDTRAIN_ADDRESS_SERVICE": f"{self.pretend.cloud.url}/_playground/address",
            **self.pretend.environ(),
            "CLOUDTRAIN_SSH_PROXY_COMMAND": self.proxy_command,
        }
        return Person(folder, self.helper, environ, self.pretend)

    def kill_at(self, nth: int, when: When, begin: Callable[[], Typed]) -> Typed:
        """Let a command be killed at its nth call of the API; return it when it is dead."""
        victims: list[Typed] = []
        self.pretend.cloud.forget_calls()
        self.pretend.cloud.faults.killpoint(nth, when, lambda: victims[0].kill())
        victims.append(begin())
        victim = victims[0].wait()
        self.pretend.cloud.faults.clear()
        self.pretend.settle()
        return victim

    @property
    def faulted(self) -> Faulted:
        """Return what can go wrong there."""
        return FAULTED[self.pretend.name]

    def fail(self, call: str, **what: Any) -> None:
        """Let a call go wrong, by the name that `calls()` has of it; the rest is as in `Faults.add`."""
        service, _, action = call.partition(":")
        self.pretend.cloud.faults.add(*((service, action) if action else (call.partition(".")[0], call)), **what)

    def alive(self) -> list[str]:
        """Return the machines that somebody may have to pay for."""
        return self.pretend.alive()

    def remains(self) -> dict[str, list[str]]:
        """Return all that somebody would have to pay for or clean away, by kind; nothing is an empty dict."""
        self.pretend.settle()
        machines = self.alive()
        return {**({"machines": machines} if machines else {}), **self.pretend.beside()}

    def wrongs(self) -> list[str]:
        """Return everything that must never have been, at any moment."""
        seen = [f"{seen.resource}: {seen.what}" for seen in self.pretend.cloud.violations()]
        seen += [f"{id} was made without a deadline" for id in self.pretend.unarmed()]
        return [*seen, *self.hypervisor.unarmed, *(event for event in self.pretend.cloud.account.events if "broke" in event)]


@pytest.fixture(scope="session")
def helper() -> Iterator[Helper]:
    with Helper() as helper:
        yield helper


@pytest.fixture
def world(request: pytest.FixtureRequest, helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a pretend cloud that boots nothing: AWS, or the one that the test names."""
    with _opened(getattr(request, "param", "aws"), Notebook(), helper, tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture(scope="module")
def world_of_hosts(request: pytest.FixtureRequest, helper: Helper, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return one whose machines are SSH hosts on this computer; the tests of a module share it."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "hosts").mkdir()
    hosts = Hosts(open_hypervisor(folder / "hosts", lambda id: world.pretend.cloud.power_off(id), kind="loopback"))
    connect = [sys.executable, "-m", "cloudtrain.testing.playground.connect", str((folder / "hosts").resolve())]
    try:
        name = getattr(request, "param", "aws")
        with pytest.MonkeyPatch.context() as patch, _opened(name, hosts, helper, folder, patch) as world:
            world.proxy_command = f"{shlex.join(connect)} %h %p"
            patch.setenv("CLOUDTRAIN_SSH_PROXY_COMMAND", world.proxy_command)
            yield world
    finally:
        hosts.close()


OURS = ("AWS_", "AZURE_", "CLOUDSDK_", "GOOGLE_", "CLOUDTRAIN_")
"""How variables begin that lead to a cloud, or tell cloudtrain something."""


@contextmanager
def _opened(name: str, hypervisor: Notebook, helper: Helper, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for variable in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(variable)
    for variable in ("USER", "LOGNAME"):
        monkeypatch.setenv(variable, "alice")
    monkeypatch.setenv("CLOUDTRAIN_HOME", str(folder / "own"))
    with OPENED[name](hypervisor, folder, monkeypatch) as pretend:
        monkeypatch.setenv("CLOUDTRAIN_ADDRESS_SERVICE", f"{pretend.cloud.url}/_playground/address")
        pretend.cloud.forget_calls()
        hypervisor.own_ends = pretend.own_ends
        yield World(pretend, hypervisor, helper, folder)


SHARE, CHEAPEST, RARER = 6, 4, 4
"""Of the cases of each matrix every sixth one is tried by default, from the fifth on: of the verbs that are killed it takes the
least time. Of the faults of other clouds than the first it is a quarter of that. All are tried on request."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the default suite short: a fixed share of each matrix, and everything that is no case of one."""
    if os.environ.get("CLOUDTRAIN_KILL_MATRIX") == "all" or os.environ.get("CLOUDTRAIN_FAULT_MATRIX") == "all":
        return
    share = int(os.environ.get("CLOUDTRAIN_MATRIX_SHARE", SHARE))
    left_out: set[int] = set()
    for name in MATRICES:
        cases = [item for item in items if item.path == HERE / name and hasattr(item, "callspec")]
        first = [item for item in cases if item.callspec.params.get("world", "aws") == "aws" or name == "test_killed.py"]
        others = [item for item in cases if item not in first]
        if name == "test_killed_runs.py":
            left_out |= {id(item) for item in cases if share > 1 and item.callspec.id not in BY_DEFAULT}
            continue
        for some, each in ((first, share), (others, share * RARER if share > 1 else 1)):
            left_out |= {id(item) for number, item in enumerate(some) if number % each != CHEAPEST % each}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left_out])
    items[:] = [item for item in items if id(item) not in left_out]


HERE = Path(__file__).parent
MATRICES = ("test_faults.py", "test_faults_of_verbs.py", "test_killed.py", "test_killed_runs.py")
BY_DEFAULT = ("aws-train", "gcp-attach")
"""Of the runs that are killed, which need hosts and take the longest, each verb on one cloud."""
