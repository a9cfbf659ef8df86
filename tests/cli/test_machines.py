"""start, get, ip, ssh, stop, terminate: machines without a job, on the pretend cloud."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtrain import overview
from cloudtrain.journey import Tools
from cloudtrain.model.instance import InstanceState

from .conftest import Cli, config
from .terminal import Terminal


@pytest.fixture(autouse=True)
def pretend(desk: Path) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.cpu]")


def test_a_machine_from_start_to_end(cli: Cli) -> None:
    said = cli("start", "pretend", "--budget", "1")
    assert said.code == 0
    assert "state     running\n" in said.out
    assert "price     $0.100/h while running, $0.5000/month while stopped\n" in said.out
    assert "(in 10 h 0 m)" in said.out or "(in 9 h 59 m)" in said.out
    assert cli("ip").out == "localhost\n"
    assert cli("get", "--json").json["instance"]["state"] == "running"
    stopped = cli("stop")
    assert (stopped.code, stopped.out) == (0, "")
    assert stopped.err.startswith("pretend (the last one used)\npretend (mem-")
    assert stopped.err.endswith(" is stopped; it now costs $0.50 per month.\n")
    assert cli("ip").code == 2
    again = cli("start", "--no-wait", "--max-lifetime", "90m", "--json")
    assert again.events[-1]["event"] == "machine"
    assert again.events[-1]["instance"]["state"] in ("pending", "running")
    ended = cli("terminate", "--yes", "--json")
    assert ended.code == 0
    assert ended.json["name"] == "pretend"
    assert cli("status").out.startswith("No machine exists; nothing bills.\n")
    assert cli("terminate", "--yes").code == 2


def test_a_lifetime_that_cannot_be_read_starts_nothing(cli: Cli) -> None:
    assert cli("start", "pretend", "--max-lifetime", "soon").code == 2
    assert cli("status", "--json").json["machines"] == []


def test_a_machine_is_bought_on_the_market_that_was_typed_and_stays_so(cli: Cli) -> None:
    bought = cli("start", "pretend", "--market", "spot", "--json").events[-1]["instance"]
    assert (bought["market"], bought["usd_per_hour"]) == ("spot", pytest.approx(0.1 / 3, abs=1e-4))
    assert "warning" not in cli("start", "pretend", "--market", "spot").err
    again = cli("start", "pretend")
    assert again.code == 0
    assert "warning: pretend is there already, bought spot; on-demand is for a new machine." in again.err
    assert cli("get", "--json").json["instance"]["market"] == "spot"


def test_start_of_an_unknown_config_is_bad_input(cli: Cli) -> None:
    said = cli("start", "pretnd")
    assert said.code == 2
    assert "pretend" in said.err


def test_where_nobody_can_be_asked_terminate_needs_a_yes(cli: Cli) -> None:
    assert cli("start", "pretend").code == 0
    said = cli("terminate")
    assert (said.code, said.out) == (2, "")
    assert said.err.endswith("  cloudtrain terminate pretend --yes\n")
    assert len(cli("status", "--json").json["machines"]) == 1


@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, 0), ("n\n", 130, 1), ("\n", 130, 1), ("\x04", 130, 1)])
def test_at_a_terminal_terminate_asks(typed: str, code: int, left: int, cli: Cli) -> None:
    assert cli("start", "pretend").code == 0
    with Terminal(["-m", "cloudtrain", "terminate", "pretend"]) as terminal:
        terminal.read_until("End pretend and its disk? [y/N] ")
        terminal.press(typed)
        assert terminal.end() == code
    assert len(cli("status", "--json").json["machines"]) == left


def test_ssh_gives_the_terminal_to_a_command_and_leaves_with_its_code(cli: Cli) -> None:
    assert cli("start", "pretend").code == 0
    with Terminal(["-m", "cloudtrain", "ssh", "--", "sh", "-c", "echo on the $0; exit 7", "machine"]) as terminal:
        assert terminal.end() == 7
        assert "pretend (the last one used)\non the machine\n" in terminal.text


def test_one_word_after_the_dashes_is_read_by_the_machines_shell_as_ssh_does_it(cli: Cli) -> None:
    assert cli("start", "pretend").code == 0
    with Terminal(["-m", "cloudtrain", "ssh", "--", "echo one | tr o 0; exit 7"]) as terminal:
        assert terminal.end() == 7
        assert "0ne\n" in terminal.text


@pytest.mark.parametrize("amount", ["-1", "0", "nan", "inf"])
def test_an_amount_that_is_none_is_bad_input(cli: Cli, amount: str) -> None:
    for words in (("start", "pretend"), ("extend", "pretend")):
        said = cli(*words, "--budget", amount)
        assert (said.code, "US dollars above 0" in said.err) == (2, True)


def test_status_tells_what_is_there(cli: Cli) -> None:
    assert cli("start", "pretend").code == 0
    said = cli("status")
    assert said.out.splitlines()[0].split()[:4] == ["MACHINE", "PROVIDER", "STATE", "TYPE"]
    assert said.out.splitlines()[1].split()[:4] == ["pretend", "memory", "running", "mem.cpu"]


@pytest.mark.parametrize(
    ("instance", "changed", "is_warned"),
    [
        ({"deadline": None}, {}, True),
        ({"deadline": None, "usd_per_hour": None}, {}, True),
        ({"deadline": None, "usd_per_hour": 0.0}, {}, False),
        ({"deadline": None, "state": InstanceState.STOPPED}, {}, False),
        ({"deadline": None}, {"standing": overview.Standing.ANOTHERS}, False),
        ({}, {}, False),
    ],
)
def test_status_warns_of_what_nothing_ends(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, instance: dict[str, Any], changed: dict[str, Any], is_warned: bool
) -> None:
    cli("start", "pretend")
    look = overview.status

    def other(tools: Tools) -> overview.Status:
        found = look(tools)
        (machine,) = found.machines
        return replace(found, machines=(replace(machine, instance=replace(machine.instance, **instance), **changed),))

    monkeypatch.setattr(overview, "status", other)
    said = cli("status")
    assert said.code == 0
    assert said.err.startswith("warning: Nothing ends pretend (mem-") == is_warned
    assert (
        said.err.endswith("): no deadline is armed on it.\n  End it, disk included: cloudtrain terminate pretend\n")
        == is_warned
    )
    assert bool(said.err) == is_warned


def test_a_provider_that_does_not_answer_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudtrain.model.errors import ProviderUnavailableError

    assert cli("start", "pretend").code == 0

    def silent(_: object) -> None:
        raise ProviderUnavailableError("the line is cut", "Plug it in.")

    monkeypatch.setattr("cloudtrain.providers.memory.MemoryProvider.list_owned", silent)
    said = cli("status")
    assert said.out.splitlines()[1].split()[:3] == ["pretend", "memory", "unknown"]
    assert said.code == 70
    assert said.err == "warning: memory did not answer: the line is cut\n  Plug it in.\n"
    assert cli("status", "--json").json["silent"][0]["subject"] == "memory"


ASKED = """
from pathlib import Path
from cloudtrain.cli.session import open_session
from cloudtrain.model.event import StageStarted
from cloudtrain.model.run import Run
with open_session(on_interrupt="ask") as session:
    session.tools.tell(StageStarted("run", "python train.py"))
    print(session.tools.on_interrupt(Run("the-run", "thing", "lab", Path())).value)
    with session.tools.uninterrupted():
        print(session.signals.deadline or "unknown")
"""


def test_the_question_is_seen_also_while_a_stage_moves(home: Path) -> None:
    with Terminal(["-c", ASKED]) as terminal:
        terminal.read_until("[d/s]")
        terminal.press("d\n")
        assert terminal.end() == 0
        assert "detach\nunknown\n" in terminal.text


def test_who_insists_on_leaving_is_told_when_the_machine_ends_by_itself(lab: Path) -> None:
    with Terminal(["-c", ASKED]) as terminal:
        terminal.read_until("[d/s]")
        terminal.press("s\n")
        assert terminal.end() == 0
        assert "shut-down\n2026-11-21 12:00 UTC\n" in terminal.text


def test_sweep_shows_asks_and_ends(cli: Cli) -> None:
    assert cli("sweep", "--json").json == {"found": [], "leftovers": [], "ended": [], "removed": [], "silent": []}
    cli("start", "memory")
    shown = cli("sweep", "--dry-run", "--json").json
    assert [machine["name"] for machine in shown["found"]] == ["memory"]
    assert shown["ended"] == []
    refused = cli("sweep")
    assert refused.code == 2
    assert refused.err.endswith("  cloudtrain sweep --yes\n")
    assert [instance["name"] for instance in cli("sweep", "--yes", "--json").json["ended"]] == ["memory"]
    assert cli("status", "--json").json["machines"] == []


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"run": "the-run"}, "the-run uses it. Go on with that: cloudtrain attach the-run. Or end the machine"),
        ({"standing": overview.Standing.ANOTHERS}, "it is "),
    ],
)
def test_a_sweep_says_what_stays_and_goes_on_billing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], why: str
) -> None:
    cli("start", "memory")
    look = overview.status

    def needed(tools: Tools) -> overview.Status:
        status = look(tools)
        return replace(status, machines=tuple(replace(machine, **changed) for machine in status.machines))

    monkeypatch.setattr(overview, "status", needed)
    said = cli("sweep", "--dry-run")
    assert said.code == 0
    assert said.out == "No machine is there that nobody needs.\n"
    assert said.err.startswith("memory (")
    assert f") stays, running: {why}" in said.err
