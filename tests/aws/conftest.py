"""People with `cloudtrain`, and a pretend AWS whose machines are only written down."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from botocore.loaders import Loader, create_loader

from cloudtrain import machines, overview, sweeping, wiring
from cloudtrain.clock import SystemClock
from cloudtrain.config.machine import load_machine
from cloudtrain.journey import Tools
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.event import Event, Note
from cloudtrain.model.instance import Instance, InstanceRef, Leftover
from cloudtrain.model.spec import Budget, MachineSpec
from cloudtrain.providers.aws import schedule
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.clients import Clients
from cloudtrain.providers.aws.keys import KeyShelf
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.aws.moto_app import ACCOUNT, REGIONS
from cloudtrain.testing.playground.faults import When
from cloudtrain.testing.playground.hypervisor import LocalHypervisor, open_hypervisor
from cloudtrain.testing.playground.machine import Booted, MachineOrder

from .killing import Helper, Typed

LATER_S = 300.0
"""When a person looks after a command was killed: what was just made is known everywhere by then."""

DAY_S = 25 * 3600.0
"""Longer than the lease of every order here: then even an order that nobody heard of again is closed."""

DEADLINE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/cloudtrain-deadline"


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

    def boot(self, order: MachineOrder) -> Booted:
        self.booted += 1
        deadline = deadline_in(order.user_data)
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


def deadline_in(user_data: bytes) -> datetime | None:
    """Return the deadline that user data arms before anything else, or None."""
    argv = (yaml.safe_load(user_data) or {}).get("bootcmd", [[]])[0]
    if len(argv) != 8 or "shutdown -h" not in argv[7] or argv[6] != "poweroff":
        return None
    return datetime.fromtimestamp(int(argv[4]), UTC)


@dataclass
class Person:
    """Somebody at a computer of their own: commands as processes of their own, or the same done here, which is faster."""

    folder: Path
    helper: Helper
    environ: dict[str, str]
    clients: Clients

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
                provider_names=("aws",),
            )

    def start(self, name: str = "aws-t3", ahead_s: float = 0.0) -> Instance:
        """Start a machine by name and do not wait for it."""
        with self.tools(ahead_s) as tools:
            return machines.start(load_machine(name), tools, budget=Budget(), wait=False)

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
        shelf = self.home / "aws" / "keys"
        return sorted(path.name for path in shelf.iterdir()) if shelf.exists() else []

    def _provider(self, machine: MachineSpec, clock: AheadClock) -> AwsProvider:
        settings = ProviderSettings(self.home, clock, wiring.known_prices, machine)
        provider = AwsProvider(settings)
        provider._account = Account(settings, self.clients, KeyShelf(self.home / "aws" / "keys"))
        return provider


@dataclass
class World:
    """The pretend AWS and its people."""

    aws: AwsCloud
    hypervisor: Notebook
    helper: Helper
    folder: Path
    clients: Clients
    proxy_command: str = "false"  # no machine answers

    def person(self, name: str = "alice", computer: str = "") -> Person:
        """Return somebody whose account is set up and who has never rented anything."""
        folder = self.folder / (computer or name)
        roles = folder / "home" / "aws" / "deadline-roles"
        roles.mkdir(parents=True, exist_ok=True)
        (roles / ACCOUNT).write_text(DEADLINE_ROLE)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "USER": name,
            "LOGNAME": name,
            "NO_COLOR": "1",
            "CLOUDTRAIN_HOME": str(folder / "home"),
            **access(self.aws.url),
            "CLOUDTRAIN_SSH_PROXY_COMMAND": self.proxy_command,
        }
        return Person(folder, self.helper, environ, self.clients)

    def kill_at(self, nth: int, when: When, begin: Callable[[], Typed]) -> Typed:
        """Let a command be killed at its nth call of the API; return it when it is dead."""
        victims: list[Typed] = []
        self.aws.forget_calls()
        self.aws.faults.killpoint(nth, when, lambda: victims[0].kill())
        victims.append(begin())
        victim = victims[0].wait()
        self.aws.faults.clear()
        return victim

    def alive(self) -> list[str]:
        """Return the machines that are not terminated."""
        return [machine.id for machine in self.aws.machines() if machine.state != "terminated"]

    def remains(self) -> dict[str, list[str]]:
        """Return all that somebody would have to pay for or clean away, by kind; nothing is an empty dict."""
        found: dict[str, list[str]] = {"machines": self.alive()}
        moto = self.aws.account.moto
        for region in REGIONS:
            backend = moto.ec2(region)
            groups = [group for of_vpc in backend.groups.values() for group in of_vpc.values() if group.name != "default"]
            found.setdefault("groups", []).extend(group.name for group in groups)
            found.setdefault("disks", []).extend(backend.volumes)
            for schedules in moto.scheduler(region).schedule_groups.values():
                found.setdefault("schedules", []).extend(schedules.schedules)
        roles = [role.name for role in moto.iam().roles.values() if role.name != "cloudtrain-deadline"]
        found["roles"] = [*roles, *moto.iam().instance_profiles]
        return {kind: names for kind, names in found.items() if names}

    def wrongs(self) -> list[str]:
        """Return everything that must never have been, at any moment."""
        seen = [f"{seen.resource}: {seen.what}" for seen in self.aws.violations()]
        for machine in self.aws.machines():
            if deadline_in(machine.user_data) is None or "cloudtrain:deadline" not in machine.tags:
                seen.append(f"{machine.id} was made without a deadline")
        return [*seen, *self.hypervisor.unarmed, *(event for event in self.aws.account.events if "broke" in event)]


def access(url: str) -> dict[str, str]:
    """Return the environment that leads to a pretend AWS and nowhere else."""
    return {
        "CLOUDTRAIN_ADDRESS_SERVICE": f"{url}/_playground/address",
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "playground",
        "AWS_SECRET_ACCESS_KEY": "playground",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@pytest.fixture(scope="session")
def helper() -> Iterator[Helper]:
    with Helper() as helper:
        yield helper


@pytest.fixture
def world(helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a pretend AWS that boots nothing."""
    with _opened(Notebook(), helper, tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture
def world_of_hosts(helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a pretend AWS whose machines are SSH hosts on this computer."""
    folder = tmp_path / "hosts"
    folder.mkdir()
    hosts = Hosts(open_hypervisor(folder, lambda id: world.aws.power_off(id), kind="loopback"))
    try:
        with _opened(hosts, helper, tmp_path, monkeypatch) as world:
            connect = [sys.executable, "-m", "cloudtrain.testing.playground.connect", str(folder.resolve())]
            world.proxy_command = f"{shlex.join(connect)} %h %p"
            monkeypatch.setenv("CLOUDTRAIN_SSH_PROXY_COMMAND", world.proxy_command)
            yield world
    finally:
        hosts.close()


@cache
def _service_models() -> Loader:
    """Read the SDK's descriptions of the services once for all tests; each session would read them anew."""
    return create_loader()


@contextmanager
def _opened(hypervisor: Notebook, helper: Helper, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("botocore.session.create_loader", lambda *_: _service_models())
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))  # the SDK's own patience
    for name in [name for name in os.environ if name.startswith(("AWS_", "CLOUDTRAIN_"))]:
        monkeypatch.delenv(name)
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, "alice")
    with AwsCloud(hypervisor) as aws:
        for name, value in {**access(aws.url), "CLOUDTRAIN_HOME": str(folder / "own")}.items():
            monkeypatch.setenv(name, value)
        settings = ProviderSettings(folder / "own", SystemClock(), lambda _: ())
        made = World(aws, hypervisor, helper, folder, Clients(settings))
        schedule.set_up(Account(settings, made.clients, KeyShelf(folder / "own" / "keys")))
        aws.forget_calls()
        yield made
        for client in made.clients._made.values():
            client.close()


SHARE = 6
"""Of the cases of the two matrices every sixth one is tried by default; both are whole on request (see their modules)."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the default suite short: a fixed share of each matrix, and everything that is no case of one."""
    if os.environ.get("CLOUDTRAIN_KILL_MATRIX") == "all" or os.environ.get("CLOUDTRAIN_FAULT_MATRIX") == "all":
        return
    matrices = [item for item in items if item.path.parent == HERE and item.path.name in MATRICES and hasattr(item, "callspec")]
    left_out = {id(item) for number, item in enumerate(matrices) if number % SHARE}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left_out])
    items[:] = [item for item in items if id(item) not in left_out]


HERE = Path(__file__).parent
MATRICES = ("test_faults.py", "test_killed.py")
