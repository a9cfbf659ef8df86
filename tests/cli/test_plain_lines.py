"""The story without a terminal: plain lines on stderr, the log on stdout."""

import pytest

from cloudtrain.cli.plain_lines import PlainLines
from cloudtrain.model.event import Event, LogChunk, Note, Progress, StageEnded, StageStarted


def told(*events: Event) -> None:
    listener = PlainLines()
    for event in events:
        listener.tell(event)
    listener.finish()


def test_a_stage_is_one_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    told(StageStarted("upload", "12 files, 3145728 bytes"), Progress("upload", 1, 2), StageEnded("upload", "", 0.42))
    out, err = capfdbinary.readouterr()
    assert err.decode() == "upload     12 files, 3.1 MB … 0.4 s\n"
    assert out == b""


def test_the_log_is_byte_for_byte_on_stdout(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    told(
        StageStarted("run", "python train.py"),
        LogChunk(b"\xff\x00 half a l", 0),
        LogChunk(b"ine\n", 11),
        StageEnded("run", "", 61),
    )
    out, err = capfdbinary.readouterr()
    assert out == b"\xff\x00 half a line\n"
    assert err.decode() == "run        python train.py … \nrun        … 1 m 1 s\n"


def test_notes_stand_on_lines_of_their_own(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    told(
        StageStarted("prepare", "none"), Note("Collecting numpy", "detail"), Note("The disk is slow", "warning"), Note("Fine.")
    )
    out, err = capfdbinary.readouterr()
    assert err.decode() == "prepare    none … \nwarning: The disk is slow\nFine.\n"
    assert out == b""


def test_a_stage_that_broke_off_ends_its_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    told(StageStarted("connect", "192.0.2.7"))
    assert capfdbinary.readouterr().err.decode() == "connect    192.0.2.7 … \n"


def test_control_characters_of_a_machine_steer_no_terminal(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    told(Note("safe\x1b[2J\x9b2J text"))
    assert capfdbinary.readouterr().err.decode() == "safe�[2J�2J text\n"
