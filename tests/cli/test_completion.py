"""What the shell offers after Tab."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shares import one_in

from .conftest import config, remember


def offered(line: str) -> list[str]:
    """Ask as bash does."""
    words = line.split(" ")
    environ = {**os.environ, "_CLOUDTRAIN_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    code = "import sys; from cloudtrain.cli.main import main; sys.argv = ['cloudtrain']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture(autouse=True)
def known(home: Path) -> None:
    config("zed", "provider: memory")
    remember(home, "zoe")


@pytest.mark.parametrize(
    ("line", "words"),
    one_in(
        4,
        [
            ("cloudtrain te", ["terminate"]),
            ("cloudtrain sta", ["status", "start"]),
            ("cloudtrain train z", ["zed"]),
            ("cloudtrain plan z", ["zed"]),
            ("cloudtrain get z", ["zed"]),
            ("cloudtrain start z", ["zed"]),
            ("cloudtrain stop z", ["zoe"]),
            ("cloudtrain terminate z", ["zoe"]),
            ("cloudtrain ip z", ["zoe"]),
            ("cloudtrain ssh z", ["zoe"]),
            ("cloudtrain init digits-t", ["digits-tensorflow"]),
            ("cloudtrain check mem", ["memory"]),
            ("cloudtrain offers --provider mem", ["memory"]),
            ("cloudtrain train --on-interrupt d", ["detach"]),
            ("cloudtrain train --dry", ["--dry-run"]),
        ],
    ),
)
def test_the_shell_offers(line: str, words: list[str]) -> None:
    assert offered(line) == words


def test_runs_are_offered_by_id(home: Path) -> None:
    from cloudtrain.ledger.ledger import Ledger
    from cloudtrain.model.run import Run
    from cloudtrain.model.spec import JobSpec
    from cloudtrain.testing.clock import FakeClock

    with Ledger.open(home, FakeClock()) as ledger:
        ledger.add_run(Run("20261121-120000-thing-7f3a", "thing", "zoe", Path("/x")), JobSpec("thing", Path("/x"), "true"))
    for verb in ("logs", "attach", "pull", "status"):
        assert offered(f"cloudtrain {verb} 2026") == ["20261121-120000-thing-7f3a"]


def test_a_damaged_ledger_offers_nothing_and_says_nothing(home: Path) -> None:
    (home / "ledger.sqlite3").write_bytes(b"no database at all" * 100)
    assert offered("cloudtrain stop z") == []


def test_completion_can_be_shown_for_a_shell(home: Path) -> None:
    environ = {**os.environ, "SHELL": "/bin/bash", "_CLOUDTRAIN_COMPLETE": "source_bash"}
    done = subprocess.run([sys.executable, "-m", "cloudtrain"], capture_output=True, text=True, env=environ)
    assert "_CLOUDTRAIN_COMPLETE=complete_bash" in done.stdout
