"""The job's log: byte for byte in a pipe, short stamps on a terminal, wherever the chunks are cut."""

import itertools
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrain.cli import log as log_module
from cloudtrain.cli.harmless import Harmless
from cloudtrain.cli.log import Log

STAMPED = (
    "2026-11-21T04:05:06.123Z épochs 1 ✓\n"
    "2026-11-21T04:05:07.000Z \n"
    "2026-11-21T04:05:08.999Z 2026-11-21T00:00:00.000Z not at the start\n"
    "no stamp here\n"
    "\n"
    "2026-11-21 also none\n"
    "2026-11-21T04:05:09.000Z 10%\r20%\rdone"
).encode()
SHORT = (
    "04:05:06 épochs 1 ✓\n"
    "04:05:07 \n"
    "04:05:08 2026-11-21T00:00:00.000Z not at the start\n"
    "no stamp here\n"
    "\n"
    "2026-11-21 also none\n"
    "04:05:09 10%\r20%\rdone"
).encode()


@pytest.fixture(autouse=True, scope="module")
def utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def shown(content: bytes, cuts: list[int], *, on_terminal: bool) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "is_terminal", lambda _: on_terminal)
        out: list[bytes] = []
        log = Log(out.append)
        edges = [0, *sorted(cuts), len(content)]
        for start, end in itertools.pairwise(edges):
            log.write(content[start:end])
        log.finish()
        return b"".join(out)


@given(st.lists(st.integers(0, len(STAMPED))))
def test_in_a_pipe_every_byte_is_as_it_was(cuts: list[int]) -> None:
    assert shown(STAMPED, cuts, on_terminal=False) == STAMPED


@given(st.lists(st.integers(0, len(STAMPED))))
def test_on_a_terminal_stamps_are_short_wherever_it_is_cut(cuts: list[int]) -> None:
    assert shown(STAMPED, cuts, on_terminal=True) == SHORT


@given(st.binary(), st.lists(st.integers(0, 40)))
def test_bytes_that_are_no_log_pass_on_a_terminal_as_far_as_they_are_harmless(content: bytes, cuts: list[int]) -> None:
    assert shown(content, [min(cut, len(content)) for cut in cuts], on_terminal=True) == Harmless().passed(content)


def test_a_line_that_is_not_whole_is_shown_at_once() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "is_terminal", lambda _: True)
        out: list[bytes] = []
        Log(out.append).write(b"2026-11-21T04:05:06.123Z 10%")
        assert out == [b"04:05:06 10%"]


def test_the_stamp_is_local_time() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "XST-2")
        time.tzset()
        assert shown(b"2026-11-21T23:30:00.000Z x\n", [], on_terminal=True) == b"01:30:00 x\n"
    time.tzset()
