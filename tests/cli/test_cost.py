"""cost: what was spent, by run, machine and day, and what is left of the month."""

import dataclasses
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState
from cloudtrain.model.offer import Offer
from cloudtrain.model.run import Run
from cloudtrain.model.spec import JobSpec, MachineSpec, Market
from cloudtrain.model.statement import Allowance, Billed, Cost, CostLine, DayCost, Statement
from cloudtrain.testing.clock import NOON, FakeClock

from .conftest import Cli
from .terminal import Terminal

MONTH = ("--month", f"{NOON:%Y-%m}")
RUN = "20261121-120000-digits-7f3a"
OFFER = Offer("memory", "mem.gpu", "r1", Market.SPOT, "", 0.5, date(2026, 11, 2), beside_usd_per_hour=0.015)


def machine(number: int) -> Instance:
    ref = InstanceRef("memory", f"mem-{number}", "r1")
    return Instance(ref, f"lab-{number}", InstanceState.RUNNING, instance_type="mem.gpu", usd_per_month_stopped=7.3)


@pytest.fixture
def ledger(home: Path) -> Ledger:
    return Ledger.open(home, FakeClock(NOON))


@pytest.fixture
def spent(ledger: Ledger) -> Ledger:
    """A run that took four hours, and a machine that was kept for one day and a bit."""
    ledger.add_run(Run(RUN, "digits", "lab-1", Path("/r")), JobSpec("digits", Path("/j"), "true"))
    ledger.spend.opened(machine(1), OFFER, RUN, NOON)
    ledger.spend.ended(machine(1).ref, NOON + timedelta(hours=4))
    ledger.save_machine(MachineSpec("lab-2", "memory"), None)
    ledger.spend.opened(machine(2), replace(OFFER, market=Market.ON_DEMAND), "", NOON)
    ledger.spend.ended(machine(2).ref, NOON + timedelta(hours=30))
    return ledger


def test_nothing_spent_is_said_kindly(cli: Cli) -> None:
    said = cli("cost", *MONTH)
    assert (said.code, said.out) == (0, "November 2026: nothing that bills was written down.\n")
    assert said.err == "Cap what a month may cost: cloudtrain settings --monthly-budget 50\n"


def test_runs_first_then_machines_then_days_then_the_sum(cli: Cli, spent: Ledger) -> None:
    assert cli("cost", *MONTH).out == (
        "RUN                          MACHINE  TYPE     MARKET  HOURS  COMPUTE   DISK  ADDRESS  TOTAL  PRICE OF    NOW\n"
        f"{RUN}  lab-1    mem.gpu  spot     4.00    $2.00  $0.04    $0.02  $2.06  2026-11-02  ended\n"
        "\n"
        "Machines while they served no run:\n"
        "MACHINE  TYPE     MARKET     HOURS  COMPUTE   DISK  ADDRESS   TOTAL  PRICE OF    NOW\n"
        "lab-2    mem.gpu  on-demand  30.00   $15.00  $0.30    $0.15  $15.45  2026-11-02  ended\n"
        "\n"
        "DAY           USD\n"
        "2026-11-21  $8.24\n"
        "2026-11-22  $9.27\n"
        "\n"
        "November 2026: $17.51\n"
    )


def test_the_sum_is_held_against_the_cap(cli: Cli, spent: Ledger) -> None:
    assert cli("settings", "--monthly-budget", "20").code == 0
    said = cli("cost", *MONTH)
    assert said.out.splitlines()[-1] == "November 2026: $17.51 of the cap of $20.00; $0.00 more is committed, $2.49 left"
    assert said.err == ""


def test_what_goes_on_says_what_it_costs(cli: Cli, ledger: Ledger) -> None:
    now = datetime.now(UTC)
    runs = ["run-on", "run-late", "run-unknown"]
    for number, run in enumerate(runs, 1):
        ledger.add_run(Run(run, "digits", "m", Path("/r")), JobSpec("digits", Path("/j"), "true"))
        deadline = now + timedelta(hours=-1 if run == "run-late" else 5)
        offer = replace(OFFER, usd_per_hour=None) if run == "run-unknown" else OFFER
        ledger.spend.opened(replace(machine(number), deadline=deadline), offer, run, now - timedelta(hours=2))
    on, late, unknown = (cli("cost", "--run", run) for run in runs)
    assert on.out.splitlines()[1].endswith("running, $0.515/h")
    assert late.out.splitlines()[1].endswith("over its deadline, $0.515/h")
    assert "warning: lab-2 is over its deadline; nobody has looked since: cloudtrain status" in late.err
    assert re.search(
        r"2\.00  +unknown  \$0\.02  +\$0\.01  \$0\.03 \+ unknown .* running, unknown/h$", unknown.out, re.MULTILINE
    )
    assert "warning: 2 h 0 m ran at a price nobody knows, which is in no sum." in unknown.err
    ledger.spend.stopped(machine(1), now)
    assert re.search(r"^lab-1 .* stopped, \$7\.30/month$", cli("cost", "--machine", "lab-1").out, re.MULTILINE)


def test_less_than_a_cent_is_not_nothing(cli: Cli, ledger: Ledger) -> None:
    ledger.spend.opened(machine(1), OFFER, "", NOON)
    ledger.spend.ended(machine(1).ref, NOON + timedelta(seconds=30))
    assert cli("cost", *MONTH).out.splitlines()[-1] == "November 2026: <$0.01"


def test_json_has_the_documented_names(cli: Cli, spent: Ledger) -> None:
    cli("settings", "--monthly-budget", "20")
    answer = cli("cost", *MONTH, "--actual", "--json").json
    assert set(answer) == {"since", "until", "lines", "total", "days", "allowance", "actual"}
    assert answer["lines"][0]["run"] == RUN
    assert answer["lines"][0]["cost"]["total_usd"] == pytest.approx(2.06)
    assert answer["total"]["hours"] == 34.0
    assert answer["days"][0] == {"day": "2026-11-21", "usd": pytest.approx(8.24)}
    assert answer["allowance"]["left_usd"] == pytest.approx(2.49)
    assert answer["actual"][0]["provider"] == "memory"
    page = (Path(__file__).parents[2] / "docs" / "cost.md").read_text()
    for kind in (Statement, CostLine, Cost, DayCost, Allowance, Billed):
        for field in dataclasses.fields(kind):
            assert re.search(rf"[`.]{field.name}`", page), f"{kind.__name__}.{field.name}"


def test_a_run_is_named_by_a_part_of_its_id(cli: Cli, spent: Ledger) -> None:
    said = cli("cost", "--run", "7f3a")
    assert said.out.splitlines()[-1] == f"{RUN}: $2.06"
    assert "lab-2" not in said.out


def test_a_machine_by_its_name(cli: Cli, spent: Ledger) -> None:
    said = cli("cost", *MONTH, "--machine", "lab-2")
    assert said.out.splitlines()[-1] == "lab-2, November 2026: $15.45"
    assert RUN not in said.out
    assert cli("cost", "--month", "2026-10", "--machine", "lab-2").out.startswith("lab-2, October 2026: nothing that bills")


def test_actual_says_who_does_not_tell(cli: Cli, spent: Ledger) -> None:
    said = cli("cost", *MONTH, "--actual")
    assert said.code == 0
    assert "warning: memory does not say what it billed: it has no bill that a program can read ($17.51 recorded)" in said.err


def test_actual_shows_the_difference(cli: Cli, spent: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudtrain.model.money import BilledDay
    from cloudtrain.providers.memory import MemoryProvider

    bill = (BilledDay(date(2026, 11, 21), 10.0), BilledDay(date(2026, 11, 22), 7.0, is_final=False))
    monkeypatch.setattr(MemoryProvider, "billed", lambda self, since, until: bill, raising=False)
    said = cli("cost", *MONTH, "--actual")
    assert said.out.splitlines()[-2:] == [
        "PROVIDER  RECORDED  BILLED  DIFFERENCE",
        "memory      $17.51  $17.00      -$0.51  not final yet",
    ]


BAD = {
    ("--month", "november"): "--month: expected a month, found 'november'",
    ("--month", "2026-13"): "--month: expected a month",
    ("--run", "x", "--month", "2026-11"): "--run: A run is shown whole",
    ("--run", "x", "--machine", "m"): "--run: A run is shown whole",
    ("--machine", "m", "--actual"): "--actual: The clouds bill days",
    ("--run", "nope"): "There is no run nope.",
    ("--machine", "lab-3"): "There is no machine named lab-3. Did you mean lab-2?",
}


@pytest.mark.parametrize("words", BAD)
def test_what_cannot_be_shown_is_bad_input(words: tuple[str, ...], cli: Cli, spent: Ledger) -> None:
    said = cli("cost", *words)
    assert (said.code, said.out) == (2, "")
    assert BAD[words] in said.err


def test_a_broken_settings_file_is_told_with_its_line(cli: Cli, home: Path) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config/settings.yaml").write_text("monthly_budget: lots\n")
    said = cli("cost")
    assert said.code == 2
    assert "settings.yaml:1: monthly_budget: expected an amount in US dollars" in said.err


def test_on_a_terminal_days_are_bars_as_wide_as_there_is_room(home: Path, spent: Ledger) -> None:
    def bars(columns: str) -> list[str]:
        environ = {"CLOUDTRAIN_HOME": str(home), "COLUMNS": columns, "PYTHONUTF8": "1"}
        with Terminal(["-m", "cloudtrain", "cost", *MONTH], environ) as terminal:
            assert terminal.end() == 0
            text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.text)
            return [line.rstrip() for line in text.splitlines() if line.startswith("2026-11-2")]

    wide, narrow = bars("100"), bars("50")
    assert [line.count("█") for line in wide] == [53, 59]  # of 60
    assert wide[0].startswith("2026-11-21  $8.24  █")
    assert max(len(line) for line in narrow) <= 50
    assert 10 < narrow[1].count("█") < 40


def test_the_python_interface_says_the_same(home: Path, spent: Ledger) -> None:
    import cloudtrain

    assert cloudtrain.cost(run="7f3a").total.total_usd == pytest.approx(2.06)
    assert cloudtrain.cost(month=NOON).total.total_usd == pytest.approx(17.51)
    assert [line.machine for line in cloudtrain.cost(month=NOON, machine="lab-2").lines] == ["lab-2"]
