"""push and pull with a machine, on the pretend cloud."""

import os
from pathlib import Path

import pytest

from .conftest import Cli, config
from .terminal import Terminal


@pytest.fixture(autouse=True)
def pretend(desk: Path, cli: Cli) -> None:
    config("pretend", "provider: memory", "instance_types: [mem.cpu]")
    Path("data").mkdir()
    Path("data/a.csv").write_text("1,2\n")
    assert cli("start", "pretend").code == 0


def test_there_and_back_in_words(cli: Cli) -> None:
    there = cli("push", "pretend", "data", "work")
    assert (there.code, there.out) == (0, "")
    assert there.err.startswith("push       1 file, 4 bytes … ")
    back = cli("pull", "pretend", "work/a.csv", ".")
    assert (back.code, back.out) == (0, "a.csv\n")
    assert Path("a.csv").read_text() == "1,2\n"
    again = cli("pull", "pretend", "work/a.csv", ".")
    assert Path("a.csv.1").exists()
    assert f"What was here before is now {Path('a.csv.1').absolute()}." in again.err


def test_there_and_back_for_a_program(cli: Cli) -> None:
    there = cli("push", "pretend", "data", "work", "--json").events
    assert there[-1]["event"] == "pushed"
    progress = next(event for event in there if event["event"] == "progress")
    assert (progress["stage"], progress["done"], progress["total"], progress["files"]) == ("push", 4, 4, 1)
    assert {"bytes_per_second", "seconds_left", "usd"} <= set(progress)
    back = cli("pull", "pretend", "work", "back", "--json").events[-1]
    assert back["event"] == "pulled"
    assert (back["carried"]["files"], back["carried"]["bytes"], back["carried"]["machine"]) == (1, 4, "pretend")
    assert Path(back["carried"]["place"]) == Path("back").absolute()


def test_a_pull_that_goes_nowhere_says_what_to_type(cli: Cli) -> None:
    said = cli("pull", "pretend", "work")
    assert said.code == 2
    assert said.err.endswith("  cloudtrain pull pretend work .\n")


def test_more_than_ten_gigabytes_want_a_yes_where_nobody_can_be_asked(cli: Cli) -> None:
    with Path("data/big").open("wb") as file:
        os.truncate(file.fileno(), 12_000_000_000)
    said = cli("push", "pretend", "data", "work")
    assert said.code == 2
    assert "2 files, 12.0 GB, would travel to pretend: how long that takes is not known" in said.err
    assert said.err.endswith("  cloudtrain push pretend data work --yes\n")


@pytest.mark.parametrize(("typed", "code", "stays"), [("y\n", 0, False), ("n\n", 130, True)])
def test_what_delete_removes_is_shown_and_asked_for(typed: str, code: int, stays: bool, cli: Cli) -> None:
    Path("old").write_text("")
    assert cli("push", "pretend", "old", "work").code == 0
    with Terminal(["-m", "cloudtrain", "push", "pretend", "data", "work", "--delete"]) as terminal:
        terminal.read_until("Remove 1 there, with all that is in them? [y/N] ")
        terminal.press(typed)
        assert terminal.end() == code
        assert "to be removed from" in terminal.text
    assert (cli("pull", "pretend", "work/old", "back").code == 0) is stays
