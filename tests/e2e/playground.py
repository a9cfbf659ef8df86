"""People at their laptops, and a pretend cloud with real SSH hosts: real processes, real HTTP, nothing patched."""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.testing.playground.control import PREFIX
from cloudtrain.testing.playground.hypervisor import LocalHypervisor, open_hypervisor
from cloudtrain.testing.playground.machine import Booted, MachineOrder

from ..clouds.killing import Helper
from ..clouds.pretend import Pretend
from ..clouds.world import OPENED
from .person import Person

AT_ONCE = 4

MACHINE = "provider: {provider}\nregions: [{region}]\ninstance_types: [{types}]\nmarket: {market}\ndisk_gb: 100\n"


class Diary:
    """A hypervisor that notes what it boots, by the name that a person calls it by: of what is gone a cloud knows nothing."""

    def __init__(self, real: LocalHypervisor) -> None:
        self.booted: dict[str, tuple[str, MachineOrder]] = {}
        self.name_of: Callable[[str], str] = str
        self._real = real

    def boot(self, order: MachineOrder) -> Booted:
        """Boot a machine, and note it."""
        self.booted.setdefault(order.id, (self.name_of(order.id), order))
        return self._real.boot(order)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@dataclass
class Playground:
    """The pretend cloud and what its machines run on."""

    folder: Path
    helper: Helper
    hypervisor: LocalHypervisor
    diary: Diary
    pretend: Pretend
    short: Path

    @property
    def cloud(self) -> Any:
        """Return the double: of it only what all of them have."""
        return self.pretend.cloud

    def person(self, name: str, *, types: tuple[str, ...] = (), market: str = "on-demand") -> Person:
        """Return somebody with a laptop of their own, who calls their machine by this name; it has a GPU if not said else."""
        person = Person(self, name, self.folder / name)
        machine = MACHINE.format(
            provider=self.pretend.name,
            region=self.pretend.region,
            types=", ".join(types or self.pretend.gpu_types),
            market=market,
        )
        (person.job / "configs" / f"{name}.yaml").write_text(machine)
        return person

    def exports(self) -> Mapping[str, str]:
        """Return what the playground prints for a person's shell, and where short-lived files go."""
        exports = {
            **self.pretend.environ(),
            "CLOUDTRAIN_ADDRESS_SERVICE": f"{self.cloud.url}{PREFIX}address",
            "TMPDIR": str(self.short),
        }
        if self.hypervisor.kind == "loopback":
            connect = [sys.executable, "-m", "cloudtrain.testing.playground.connect", str(self.folder / "hosts")]
            exports["CLOUDTRAIN_SSH_PROXY_COMMAND"] = f"{shlex.join(connect)} %h %p"
        return exports

    def machines(self, name: str) -> list[str]:
        """Return the machines of a name that were ever booted, oldest first."""
        return [id for id, (called, _) in self.diary.booted.items() if called == name]

    def open_gate(self, id: str, gate: str) -> None:
        """Let a job go on."""
        self.hypervisor.run_in(id, ["sh", "-c", f"echo go >{shlex.quote(gate)}"])

    def break_line(self, id: str) -> None:
        """Cut a machine's line, end what was open on it, and mend it."""
        self.cut_line(id)
        self.hypervisor.mend_network(id)

    def cut_line(self, id: str) -> None:
        """End what is open on a machine's line, so that whoever is at the other end knows, and let nobody in any more."""
        if self.hypervisor.kind == "namespace":
            user = self.diary.booted[id][1].user
            sessions = f'[ "$(hostname)" = {id} ] && pkill -KILL -f "^sshd: {user}"'
            self.hypervisor.run_in(id, ["sh", "-c", sessions])
        self.hypervisor.cut_network(id)


@contextmanager
def open_playground(name: str, folder: Path, helper: Helper) -> Iterator[Playground]:
    """Start a cloud; see at the end that nothing was ever seen in it that must never be, and that nothing is left in it."""
    pretend: Pretend | None = None

    def powered_off(id: str) -> None:
        assert pretend is not None
        pretend.cloud.power_off(id)

    kind = os.environ.get("CLOUDTRAIN_PLAYGROUND_HOSTS", "auto")
    hypervisor = open_hypervisor(folder / "hosts", powered_off, kind=kind)
    diary = Diary(hypervisor)
    short = Path(tempfile.mkdtemp(prefix="ct-"))  # the path of a control socket may not be long
    try:
        with pytest.MonkeyPatch.context() as patch, OPENED[name](diary, folder, patch) as pretend:
            diary.name_of = pretend.name_of
            playground = Playground(folder, helper, hypervisor, diary, pretend, short)
            yield playground
            assert pretend.cloud.violations() == []
            assert [event for event in pretend.cloud.account.events if "broke" in event or "did not boot" in event] == []
    finally:
        hypervisor.close()
        shutil.rmtree(short, ignore_errors=True)


def together(playground: Playground, *stories: Callable[[Playground], None]) -> None:
    """Let several stories happen at once, each with people of its own: most of their time is waiting."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = [(story.__name__, pool.submit(story, playground)) for story in stories]
    failed = []
    for name, future in told:
        error = future.exception()
        if error is not None:
            error.add_note(f"in the story {name}, on {playground.pretend.name}")
            failed.append(error)
    if failed:
        raise BaseExceptionGroup("stories that ended badly", failed)
