"""The cost panel of report.html, and its place in run.json."""

from pathlib import Path

import pytest

from cloudtrain.report.cost import cost_panel
from cloudtrain.report.page import write_report
from cloudtrain.report.run_file import RECORD_KEYS, read_run_file, write_run_file

COST = {
    "hours": 4.5,
    "compute_usd": 2.25,
    "disk_usd": 0.045,
    "address_usd": 0.0225,
    "total_usd": 2.3175,
    "unpriced_hours": 0.0,
    "priced_on": "2026-11-02",
    "budget_usd": 5.0,
    "monthly_budget_usd": 50.0,
}
RECORD = {"job": "digits", "price": {"usd_per_hour": 0.515}, "usd": 2.3175, "cost": COST}


def test_every_part_is_told(tmp_path: Path) -> None:
    write_run_file(tmp_path, RECORD)
    page = write_report(tmp_path).read_text()
    section = page.partition("What it cost, and where the time went")[2].partition("</section>")[0]
    for term, value in {
        "Compute": "$2.25 for 4 h 30 min",
        "Disk": "$0.0450",
        "Address": "$0.0225",
        "Total": "$2.32",
        "Price of": "2026-11-02",
        "Budget": "$5.00",
        "Month&#x27;s cap": "$50.00",
    }.items():
        assert f"<dt>{term}</dt><dd>{value}</dd>" in section, term


def test_an_unknown_price_is_said(tmp_path: Path) -> None:
    panel = cost_panel({"cost": COST | {"unpriced_hours": 1.5}})
    assert "<dt>In no sum</dt><dd>1 h 30 min at an unknown price</dd>" in panel


@pytest.mark.parametrize("record", [{}, {"cost": None}, {"cost": []}, {"cost": {}}, RECORD | {"price": {"usd_per_hour": 0.0}}])
def test_without_a_cost_there_is_no_panel(record: dict[str, object]) -> None:
    assert cost_panel(record) == ""


@pytest.mark.parametrize("value", [None, -1, 1e300, "<b>x</b>", [[]], True])
@pytest.mark.parametrize("key", COST)
def test_whatever_stands_in_a_field_the_panel_holds(key: str, value: object) -> None:
    assert "<b>x" not in cost_panel(RECORD | {"cost": COST | {key: value}})


def test_the_record_keeps_it_beside_the_sum(tmp_path: Path) -> None:
    write_run_file(tmp_path, {"cost": COST, "usd": 2.3175})
    assert list(read_run_file(tmp_path)) == ["usd", "cost"]
    assert RECORD_KEYS.index("cost") == RECORD_KEYS.index("usd") + 1
