"""Amounts as people read them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudtrain.cli.words import dollars, hourly, humane, size, span, until

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (59.94, "59.9 s"),
        (59.96, "1 m 0 s"),
        (119.6, "2 m 0 s"),
        (3599.6, "1 h 0 m"),
        (7384, "2 h 3 m"),
        (48 * 3600, "2 d 0 h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3_145_728, "3.1 MB"), (5e9, "5.0 GB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(int(count)) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(None, "unknown"), (0, "$0.00"), (0.00002, "under $0.0001"), (0.0123, "$0.0123"), (1.005, "$1.00"), (12.5, "$12.50")],
)
def test_dollars(usd: float | None, text: str) -> None:
    assert dollars(usd) == text


@pytest.mark.parametrize(("usd", "text"), [(None, "unknown"), (0.0, "free"), (0.526, "$0.526")])
def test_an_unknown_price_is_never_free(usd: float | None, text: str) -> None:
    assert hourly(usd) == text


def test_a_deadline_says_how_far_away_it_is() -> None:
    assert until(NOON + timedelta(hours=3, minutes=20), NOON) == "2026-11-21 15:20 UTC (in 3 h 20 m)"
    assert until(NOON - timedelta(minutes=5), NOON) == "2026-11-21 11:55 UTC (5 m 0 s ago)"
    assert until(None, NOON) == "no deadline found"


def test_counts_of_bytes_in_a_sentence() -> None:
    assert humane("12 files, 3145728 bytes") == "12 files, 3.1 MB"
    assert humane("1 file, 20 bytes") == "1 file, 20 bytes"
    assert humane(f"{Path.cwd()}/runs/x") == "runs/x"
