"""ip: the address and nothing else, from memory."""

from pathlib import Path

import pytest

from cloudtrain.model.instance import InstanceState

from .conftest import Cli, remember


def test_the_address_alone_is_printed(lab: Path, cli: Cli) -> None:
    said = cli("ip", "lab")
    assert (said.code, said.out, said.err) == (0, "192.0.2.7\n", "")


def test_without_a_name_it_is_the_last_one_used_and_says_so(lab: Path, cli: Cli) -> None:
    remember(lab, "newer", address="192.0.2.8")
    said = cli("ip")
    assert (said.code, said.out, said.err) == (0, "192.0.2.8\n", "newer (the last one used)\n")


def test_json_has_stable_names(lab: Path, cli: Cli) -> None:
    assert cli("ip", "lab", "--json").json == {"name": "lab", "address": "192.0.2.7", "seen_at": "2026-11-21T12:00:00+00:00"}


@pytest.mark.parametrize("state", [state for state in InstanceState if state is not InstanceState.RUNNING])
def test_a_machine_that_did_not_run_is_no_answer(home: Path, cli: Cli, state: InstanceState) -> None:
    remember(home, "lab", state)
    said = cli("ip", "lab")
    assert (said.code, said.out) == (2, "")
    assert said.err == f"lab is {state.value}.\n  Start it: cloudtrain start lab\n"


def test_a_machine_without_an_address_is_no_answer(home: Path, cli: Cli) -> None:
    remember(home, "lab", address="")
    said = cli("ip", "lab")
    assert (said.code, said.out) == (2, "")
    assert "runs without an address" in said.err


def test_an_unknown_name_is_bad_input(lab: Path, cli: Cli) -> None:
    said = cli("ip", "lap")
    assert (said.code, said.out) == (2, "")
    assert "There is no machine named lap. Did you mean lab?" in said.err


def test_no_machine_at_all_says_what_to_type(cli: Cli) -> None:
    said = cli("ip")
    assert said.code == 2
    assert said.err == "error: No machine was used yet.\n  Name one: cloudtrain configs\n"
