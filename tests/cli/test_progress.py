"""The story on a terminal."""

import pytest

from .terminal import Terminal

STORY = """
import sys
from cloudtrain.cli.listener import listening
from cloudtrain.model.event import LogChunk, Note, Progress, StageEnded, StageStarted
with listening(as_json=False) as listener:
    tell = listener.tell
{events}
"""


def shown(*events: str, environ: dict[str, str] | None = None) -> str:
    code = STORY.format(events="\n".join(f"    {event}" for event in events))
    with Terminal(["-c", code], {"TZ": "UTC", **(environ or {})}) as terminal:
        assert terminal.end() == 0
        return terminal.text


def plain(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_a_stage_that_ended_stays_as_one_line_with_a_tick() -> None:
    text = plain(shown("tell(StageStarted('upload', '12 files, 3145728 bytes'))", "tell(StageEnded('upload', '', 0.42))"))
    assert text.endswith("✓ upload     12 files, 3.1 MB  0.4 s\n")


def test_a_stage_that_broke_off_is_crossed_out() -> None:
    text = plain(shown("tell(StageStarted('connect', '192.0.2.7'))", "tell(StageStarted('shut down', 'lab'))"))
    assert "✗ connect    192.0.2.7\n" in text
    assert text.endswith("✗ shut down  lab\n")


def test_progress_is_a_bar_with_its_amounts() -> None:
    text = plain(
        shown(
            "tell(StageStarted('upload', ''))",
            "tell(Progress('upload', 1_000_000, 4_000_000))",
            "tell(Note('look'))",
            "tell(StageEnded('upload', '', 2.0))",
        )
    )
    assert "1.0 MB of 4.0 MB" in text
    assert "━" in text


def test_progress_in_bytes_says_files_speed_time_left_and_dollars() -> None:
    text = plain(
        shown(
            "tell(StageStarted('upload', ''))",
            "tell(Progress('upload', 1_000_000, 4_000_000, 'bytes', 12, 500_000.0, 6.0, 0.0123))",
            "tell(Note('look'))",
            environ={"COLUMNS": "120"},
        )
    )
    assert "1.0 MB of 4.0 MB, 12 files, 500.0 kB/s, 6.0 s left, $0.0123" in text


def test_the_last_detail_stands_beside_the_spinner_and_goes_with_it() -> None:
    text = plain(
        shown(
            "tell(StageStarted('prepare', 'none'))",
            "tell(Note('Collecting numpy', 'detail'))",
            "tell(Note('look'))",
            "tell(StageEnded('prepare', '', 2.0))",
        )
    )
    assert "Collecting numpy" in text
    assert text.endswith("✓ prepare    none  2.0 s\n")


def test_the_log_streams_below_its_stage_with_short_stamps() -> None:
    text = shown(
        "tell(StageStarted('run', 'python train.py'))",
        "tell(LogChunk(b'2026-11-21T04:05:06.123Z epoch 1\\n2026-11-21T04:0', 0))",
        "tell(LogChunk(b'5:07.000Z epoch 2\\n', 48))",
        "tell(StageEnded('run', '', 75))",
    )
    assert "\x1b[2m04:05:06\x1b[0m epoch 1\n\x1b[2m04:05:07\x1b[0m epoch 2\n" in text
    assert "· run        python train.py\n" in plain(text)
    assert plain(text).endswith("✓ run        1 m 15 s\n")


def test_no_color_is_honoured() -> None:
    text = shown(
        "tell(Note('careful', 'warning'))",
        "tell(LogChunk(b'2026-11-21T04:05:06.123Z epoch 1\\n', 0))",
        environ={"NO_COLOR": "1"},
    )
    assert "warning: careful\n" in text
    assert "04:05:06 epoch 1\n" in text
    assert "\x1b[3" not in text


def test_what_looks_like_markup_is_data() -> None:
    text = plain(shown("tell(StageStarted('run', '[red]x[/red]'))", "tell(Note('[bold]y[/nonsense] :smile:'))"))
    assert "[bold]y[/nonsense] :smile:\n" in text
    assert "✗ run        [red]x[/red]\n" in text


def test_control_characters_of_a_machine_steer_nothing() -> None:
    assert "a�[2Jb\n" in shown(r"tell(Note('a\x1b[2Jb'))")


def test_a_dumb_terminal_gets_plain_lines() -> None:
    text = shown("tell(StageStarted('upload', '1 file'))", "tell(StageEnded('upload', '', 1))", environ={"TERM": "dumb"})
    assert text == "upload     1 file … 1.0 s\n"


@pytest.mark.parametrize("kind", ["Note('x')", "StageStarted('upload')", "LogChunk(b'x', 0)"])
def test_a_closed_window_breaks_no_story(kind: str) -> None:
    code = STORY.format(
        events=f"""
    import contextlib, signal
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    print('ready', flush=True)
    with contextlib.suppress(OSError):
        sys.stdin.readline()
    tell({kind})
    tell({kind})"""
    )
    with Terminal(["-c", code]) as terminal:
        terminal.read_until("ready\r\n")
        terminal.close_window()
        assert terminal.end() == 0


def test_a_long_detail_is_cut_and_its_time_is_not() -> None:
    text = plain(shown(f"tell(StageStarted('connect', {'x' * 200!r}))", "tell(StageEnded('connect', '', 3.0))"))
    line = text.splitlines()[-1]
    assert line.endswith("x…  3.0 s")
    assert len(line) == 100


def test_nothing_moves_while_a_person_is_asked() -> None:
    text = plain(
        shown(
            "tell(StageStarted('run', 'python train.py'))",
            "listener.settle()",
            "print('QUESTION', flush=True)",
            "tell(LogChunk(b'x\\n', 0))",
            "tell(StageEnded('run', '', 3.0))",
        )
    )
    assert text.endswith("· run        python train.py\nQUESTION\nx\n✓ run        3.0 s\n")
