"""settings: shown, changed, and refused when wrong."""

from pathlib import Path

from .conftest import Cli


def test_settings_are_shown_with_the_place_of_their_file(cli: Cli, home: Path) -> None:
    said = cli("settings")
    assert said.code == 0
    assert said.out == f"file            {home}/config/settings.yaml (not there yet)\nmonthly budget  none\n"
    assert said.err == "Cap what a month may cost: cloudtrain settings --monthly-budget 50\n"
    assert not home.exists()


def test_a_cap_is_written_shown_and_taken_away(cli: Cli, home: Path) -> None:
    said = cli("settings", "--monthly-budget", "1250.5")
    assert (said.out, said.err) == (f"file            {home}/config/settings.yaml\nmonthly budget  $1,250.50\n", "")
    answer = cli("settings", "--json").json
    assert answer == {"file": f"{home}/config/settings.yaml", "exists": True, "monthly_budget": 1250.5}
    assert cli("settings", "--monthly-budget", "none", "--json").json["monthly_budget"] is None
    assert "monthly_budget" not in (home / "config/settings.yaml").read_text()


def test_an_amount_that_is_none_is_bad_input(cli: Cli, home: Path) -> None:
    said = cli("settings", "--monthly-budget", "0")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: --monthly-budget: expected more than zero dollars")
    assert not home.exists()
