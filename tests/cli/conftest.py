"""The command line as a person uses it, with a home of its own."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cloudtrain.cli.main import make_app
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState
from cloudtrain.model.spec import MachineSpec
from cloudtrain.testing.clock import FakeClock


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that is not yours, and a desk to stand at."""
    home = tmp_path / "home"
    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.setenv("CLOUDTRAIN_HOME", str(home))
    monkeypatch.delenv("CLOUDTRAIN_CACHE", raising=False)
    monkeypatch.chdir(desk)
    return home


@pytest.fixture
def desk(home: Path) -> Path:
    """The folder the person stands in."""
    return Path.cwd()


@pytest.fixture
def cli(home: Path) -> Cli:
    """Run a command in this process."""

    def run(*words: str) -> Said:
        result = CliRunner().invoke(make_app(), list(words), prog_name="cloudtrain")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def remember(home: Path, name: str, state: InstanceState = InstanceState.RUNNING, address: str = "192.0.2.7") -> None:
    """Write a machine into the ledger as it was last seen."""
    instance = Instance(InstanceRef("memory", f"mem-{name}"), name, state, address=address, deadline=NOON)
    with Ledger.open(home, FakeClock(NOON)) as ledger:
        ledger.save_machine(MachineSpec(name, "memory"), instance)


@pytest.fixture
def lab(home: Path) -> Path:
    """A home that remembers a running machine "lab"."""
    remember(home, "lab")
    return home


def config(name: str, *lines: str) -> None:
    """Write a machine config where the person stands."""
    folder = Path("configs")
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text("\n".join(lines) + "\n")
