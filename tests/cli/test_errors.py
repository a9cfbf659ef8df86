"""Errors: a sentence, the line to type next, and a stable exit code."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtrain.cli import errors
from cloudtrain.model import errors as kinds
from cloudtrain.model.errors import CloudtrainError, ConfigError, ExitCode, NoOfferFitsError, ShutdownError

from .conftest import Cli

ALL_KINDS = [kind for kind in vars(kinds).values() if isinstance(kind, type) and issubclass(kind, CloudtrainError)]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_kind_leaves_with_its_exit_code(kind: type[CloudtrainError], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise kind("It broke.", "Type this.\nOr that.")

    import cloudtrain.cli.verbs.ip as ip

    monkeypatch.setattr(ip, "open_ledger", fail)
    said = cli("ip", "x")
    assert (said.code, said.out) == (int(kind.exit_code), "")
    assert said.err == "error: It broke.\n  Type this.\n  Or that.\n"


def test_a_config_error_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    errors.show_error(ConfigError("expected a number", "Write 1.", file="cloudtrain.yaml", line=3, field="resources.gpus"))
    assert capsys.readouterr().err == "error: cloudtrain.yaml:3: resources.gpus: expected a number\n  Write 1.\n"


def test_without_a_hint_there_is_only_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    errors.show_error(NoOfferFitsError("Nothing fits."))
    assert capsys.readouterr().err == "error: Nothing fits.\n"


def test_ctrl_c_outside_of_a_run_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import cloudtrain.cli.verbs.ip as ip

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ip, "open_ledger", interrupted)
    said = cli("ip", "x")
    assert (said.code, said.out, said.err) == (130, "", "Interrupted.\n")


BUG = """
import sys
from cloudtrain.cli import names
def broken(*_): raise ZeroDivisionError("one by none")
names.open_ledger = broken
from cloudtrain.cli.main import main
main(["ip", "x"])
"""


def test_a_bug_says_so_and_keeps_its_traceback_private(home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", BUG], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == ExitCode.MAY_STILL_BILL
    assert done.stdout == ""
    (written,) = (home / "bugs").iterdir()
    assert done.stderr == (
        "error: This is a bug in cloudtrain: ZeroDivisionError: one by none\n"
        f"  Its traceback: {written}\n"
        "  See whether anything bills: cloudtrain status\n"
    )
    assert "in broken" in written.read_text()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(written.parent.stat().st_mode) == 0o700


def test_a_bug_without_a_place_to_write_shows_its_traceback(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environ = {**os.environ, "CLOUDTRAIN_HOME": str(tmp_path / "file")}
    done = subprocess.run([sys.executable, "-c", BUG], capture_output=True, text=True, env=environ)
    assert done.returncode == ExitCode.MAY_STILL_BILL
    assert "in broken" in done.stderr


def test_something_may_still_bill_is_seventy() -> None:
    assert ShutdownError.exit_code == 70


def test_a_reader_that_went_away_ends_nothing(lab: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "cloudtrain", "ip", "lab"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
