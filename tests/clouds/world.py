"""A pretend cloud whose machines are only written down, or are SSH hosts on this computer, and its people."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.providers.aws.clients import Clients
from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.faults import When
from cloudtrain.testing.playground.hypervisor import LocalHypervisor
from cloudtrain.testing.playground.machine import Booted, MachineOrder
from tests.hypervisors import BootsNothing

from . import aws, azure, gcp
from .faulted import FAULTED, Faulted
from .killing import Helper, Typed
from .person import Person
from .pretend import Pretend, deadline_in

OPENED: Mapping[str, Callable[..., AbstractContextManager[Pretend]]] = {
    "aws": aws.opened,
    "gcp": gcp.opened,
    "azure": azure.opened,
}
"""How each cloud is opened. A test names those that it is for: `@pytest.mark.parametrize("world", [...], indirect=True)`."""

OF_TPUS = "gcp-tpu"
"""Google Cloud for whoever rents TPUs there, which can only be started and ended."""

DAY_S = 25 * 3600.0
"""Longer than the lease of every order here: then even an order that nobody heard of again is closed."""


class Notebook(BootsNothing):
    """It reads in the user data whether each machine would have known its end."""

    def __init__(self) -> None:
        super().__init__()
        self.unarmed: list[str] = []
        self.own_ends: tuple[str, ...] = ()

    def boot(self, order: MachineOrder) -> Booted:
        deadline = deadline_in(order.user_data, self.own_ends)
        if deadline is None or deadline <= datetime.now(UTC):
            self.unarmed.append(f"{order.id} booted with the deadline {deadline}")
        return super().boot(order)


class Hosts(Notebook):
    """Hosts that are really booted, to their end, and noted all the same."""

    def __init__(self, real: LocalHypervisor) -> None:
        super().__init__()
        self._real = real
        for name in ("reboot", "switch_off", "destroy", "set_metadata", "advance", "close"):
            setattr(self, name, getattr(real, name))

    def boot(self, order: MachineOrder) -> Booted:
        super().boot(order)
        booted = self._real.boot(order)
        self._real.run_in(order.id, ["cloud-init", "status", "--wait"])
        return booted


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
        self.pretend.cloud.faults.add(*parts_of(call), **what)

    def nth_of(self, words: tuple[str, ...], call: str) -> int:
        """Return which of a command's calls that one is, by letting somebody else do it."""
        other = self.person("alice", "who tried it before")
        self.pretend.cloud.forget_calls()
        other.type(*words)
        nth = [asked.name for asked in self.pretend.cloud.calls()].index(call) + 1
        other.sweep()
        return nth

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


def parts_of(call: str) -> tuple[str, str]:
    """Return the service and the action of a call by its name."""
    service, _, action = call.partition(":")
    return (service, action) if action else (call.partition(".")[0], call)


OURS = ("AWS_", "AZURE_", "CLOUDSDK_", "GOOGLE_", "CLOUDTRAIN_")
"""How variables begin that lead to a cloud, or tell cloudtrain something."""


@contextmanager
def opened_world(
    name: str, hypervisor: Notebook, helper: Helper, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    for variable in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(variable)
    for variable in ("USER", "LOGNAME"):
        monkeypatch.setenv(variable, "alice")
    monkeypatch.setenv("CLOUDTRAIN_HOME", str(folder / "own"))
    with {**OPENED, OF_TPUS: gcp.opened_for_tpus}[name](hypervisor, folder, monkeypatch) as pretend:
        monkeypatch.setenv("CLOUDTRAIN_ADDRESS_SERVICE", f"{pretend.cloud.url}/_playground/address")
        pretend.cloud.forget_calls()
        hypervisor.own_ends = pretend.own_ends
        yield World(pretend, hypervisor, helper, folder)
