"""Charts: what is drawn is what was measured, within bounds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrain.report.chart import Axis, Chart, Line, draw, thin
from cloudtrain.report.words import duration, money, number, price_per_hour, safe, size


def chart_of(*points: tuple[float, float], **y: float) -> str:
    return draw(Chart("loss", (Line("loss", list(points)),), Axis("epoch"), Axis("loss", **y)), "c")


def ticks(svg: str, anchor: str) -> list[str]:
    return re.findall(rf'<text class="tick"[^>]*text-anchor="{anchor}">([^<]*)<', svg)


def test_a_higher_value_stands_higher_and_a_later_one_further_right() -> None:
    (x1, y1), (x2, y2) = re.findall(r"([\d.]+),([\d.]+)", re.search(r'points="(.*?)"', chart_of((1, 0), (2, 5)))[1])
    assert float(x1) < float(x2)
    assert float(y1) > float(y2)


def test_the_scale_begins_and_ends_at_a_round_number() -> None:
    svg = chart_of((1, 0.27), (8, 0.996))
    assert ticks(svg, "end")[:5] == ["0.2", "0.4", "0.6", "0.8", "1"]


def test_a_range_that_is_asked_for_is_shown_though_no_value_reaches_it() -> None:
    assert ticks(chart_of((0, 40), (9, 45), low=0, high=100), "end")[0] == "0"
    assert "100" in ticks(chart_of((0, 40), (9, 45), low=0, high=100), "end")


@pytest.mark.parametrize("y", [0.0, 1.0, -3.0, 1e100, -1e100, 1e-90])
def test_a_flat_line_and_a_single_point_can_be_drawn(y: float) -> None:
    for points in ([(1.0, y)], [(1.0, y), (2.0, y)]):
        svg = chart_of(*points)
        assert svg.count("<circle") == len(points)
        assert "nan" not in svg


def test_nothing_measured_draws_nothing() -> None:
    assert chart_of() == ""


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e6, 1e6)), min_size=1, max_size=3000).map(sorted), st.integers(3, 700)
)
def test_thinning_keeps_the_ends_and_the_extremes(points: list[tuple[float, float]], most: int) -> None:
    kept = thin(points, most)
    assert len(kept) <= max(most, 4)
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert kept == sorted(kept)
    assert set(kept) <= set(points)
    assert min(y for _, y in kept) == min(y for _, y in points)
    assert max(y for _, y in kept) == max(y for _, y in points)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1, "1"),
        (0.5, "0.5"),
        (0.9889, "0.9889"),
        (0.000123456, "0.0001235"),
        (1234.5678, "1,235"),
        (-2.5, "-2.5"),
        (5e-5, "5e-5"),
        (12_345_678, "1.23e7"),
        (1e100, "1e100"),
        (999_999, "999,999"),
        (100, "100"),
    ],
)
def test_numbers_are_written_short(value: float, expected: str) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3605, "1 h"), (90_000, "1 d 1 h")],
)
def test_durations_are_written_in_two_units(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_money_is_written_to_the_cent_and_below_ten_cents_finer() -> None:
    assert [money(usd) for usd in (0, 0.0042, 0.4612, 1234.5)] == ["$0.00", "$0.0042", "$0.46", "$1,234.50"]
    assert [price_per_hour(usd) for usd in (3.06, 1.006, 0.0125, 32.7726)] == [
        "$3.06 an hour",
        "$1.006 an hour",
        "$0.0125 an hour",
        "$32.7726 an hour",
    ]


def test_sizes_are_written_in_decimal_units() -> None:
    assert [size(count) for count in (0, 999, 1500, 2.5e6, 123e6, 7e12)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "2.5 MB",
        "123 MB",
        "7.0 TB",
    ]


def test_foreign_text_is_made_safe() -> None:
    assert safe("<a href='x' title=\"y\">&\n\t") == "&lt;a href=&#x27;x&#x27; title=&quot;y&quot;&gt;&amp;\n\t"
    assert safe("\x00\x1b\x9b\u202e\u2066\ud800") == "\N{REPLACEMENT CHARACTER}" * 5 + "?"
