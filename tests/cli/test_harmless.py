"""What a machine wrote may colour a terminal, and not steer it."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrain.cli.harmless import Harmless


def shown(*pieces: bytes) -> bytes:
    harmless = Harmless()
    return b"".join(harmless.passed(piece) for piece in pieces)


@pytest.mark.parametrize(
    "content",
    [
        b"plain text, \xc3\xa4\xc3\xb6 \xe2\x9c\x93\n",
        b"\x1b[1;32mgreen\x1b[0m\n",
        b"\r 45/45 \xe2\x94\x81\xe2\x94\x81 1s\x1b[K",
        b"a\tb\x08c\r\n",
    ],
)
def test_text_colours_and_progress_bars_pass(content: bytes) -> None:
    assert shown(content) == content


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b"a\x1b]52;c;ZXZpbA==\x07b", b"ab"),  # the clipboard
        (b"a\x1b]0;title\x1b\\b", b"ab"),
        (b"a\x1b[2Jb\x1b[1;1Hc", b"abc"),  # clears, jumps
        (b"a\x1b[?1049hb", b"ab"),  # another screen
        (b"a\x1bPq#0\x1b\\b", b"ab"),
        (b"a\x1bcb", b"ab"),  # a reset
        (b"a\xc2\x9b2Jb", b"a2Jb"),  # the same begun with one character: it begins nothing any more
        (b"a\x07\x0e\x00b", b"ab"),
    ],
)
def test_nothing_else_does(content: bytes, left: bytes) -> None:
    assert shown(content) == left


def test_a_sequence_that_never_ends_is_not_held_for_ever() -> None:
    assert shown(b"a\x1b]" + b"x" * 5000 + b"\nnext line\n").endswith(b"next line\n")


@given(st.binary(), st.lists(st.integers(0, 60)))
def test_the_same_passes_however_it_is_cut(content: bytes, cuts: list[int]) -> None:
    bounds = sorted({0, len(content), *(cut for cut in cuts if cut <= len(content))})
    pieces = [content[start:end] for start, end in itertools.pairwise(bounds)]
    assert shown(*pieces) == shown(content)


@given(st.lists(st.sampled_from([b"\x1b", b"[", b"]", b"2J", b"m", b"K", b"\x07", b"\\", b"a", b"\xc2", b"\x9b", b"P", b"?1"])))
def test_whatever_comes_only_colours_and_erasures_remain(parts: list[bytes]) -> None:
    left = re.sub(rb"\x1b\[[0-9;:]*[mK]", b"", shown(b"".join(parts)))
    assert b"\x1b" not in left
    assert b"\x07" not in left
