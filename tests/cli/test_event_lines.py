"""Events for programs."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloudtrain.cli.event_lines import EventLines
from cloudtrain.model.event import LogChunk, Note, Progress, StageEnded, StageStarted


def test_each_event_says_which_it_is_with_stable_names() -> None:
    lines: list[Any] = []
    listener = EventLines(lines.append)
    listener.tell(StageStarted("upload", "2 files"))
    listener.tell(Progress("upload", 5, 10, "bytes", 3, 2.5, 2.0))
    listener.tell(StageEnded("upload", "", 0.5))
    listener.tell(Note("careful", "warning"))
    listener.tell(LogChunk(b"hello\n", 7))
    assert lines == [
        {"event": "stage-started", "stage": "upload", "detail": "2 files"},
        {
            "event": "progress",
            "stage": "upload",
            "done": 5,
            "total": 10,
            "unit": "bytes",
            "files": 3,
            "bytes_per_second": 2.5,
            "seconds_left": 2.0,
            "usd": None,
        },
        {"event": "stage-ended", "stage": "upload", "detail": "", "seconds": 0.5},
        {"event": "note", "text": "careful", "level": "warning"},
        {"event": "log", "offset": 7, "text": "hello\n"},
    ]


@given(st.text(), st.lists(st.integers(0, 60)))
def test_the_texts_together_are_the_log_wherever_it_is_cut(text: str, cuts: list[int]) -> None:
    lines: list[Any] = []
    listener = EventLines(lines.append)
    content = text.encode()
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    for start, end in itertools.pairwise(edges):
        listener.tell(LogChunk(content[start:end], start))
    listener.finish()
    assert "".join(line["text"] for line in lines) == text


def test_a_log_that_ends_inside_a_character_is_not_cut_short() -> None:
    lines: list[Any] = []
    listener = EventLines(lines.append)
    listener.tell(LogChunk("é".encode()[:1], 0))
    listener.finish()
    assert "".join(line["text"] for line in lines) == "\ufffd"


def test_progress_comes_once_for_every_percent_and_at_the_end() -> None:
    lines: list[Any] = []
    listener = EventLines(lines.append)
    for done in range(0, 100_001, 10):
        listener.tell(Progress("upload", done, 100_000))
    assert len(lines) == 101
    assert lines[-1]["done"] == 100_000
