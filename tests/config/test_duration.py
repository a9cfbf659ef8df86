"""Lengths of time: what is read, what is refused, and that writing and reading agree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrain.config.duration import format_duration, parse_duration
from cloudtrain.model.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4h", 14400),
        ("20m", 1200),
        ("90s", 90),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1d1h1m1s", 90061),
        ("1.5h", 5400),
        ("0h5s", 5),
    ],
)
def test_what_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "4.5",
        4,
        4.5,
        "-4h",
        "4H",
        "4 h",
        "h",
        "4h4h",
        "30m1h",
        "1:30",
        "1e3s",
        "٤h",
        "4h\n",
        "0s",
        "0.5s",
        True,
        None,
        [],
        "9" * 99 + "s",
    ],
)
def test_what_is_refused_says_how_to_write_it(text: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_duration(text)
    assert "`1h30m`" in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_number_alone_is_told_apart() -> None:
    with pytest.raises(ConfigError, match=r'found "20" without a unit'):
        parse_duration("20")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (90, "1m30s"), (5400.9, "1h30m"), (86400, "1d"), (90061, "1d1h1m1s")])
def test_what_is_written(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@settings(deadline=None, database=None)
@given(seconds=st.integers(1, 10**12))
def test_what_is_written_is_read_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds
