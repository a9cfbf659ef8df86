"""A run whose ledger was lost: its folder knows enough to take it up."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain import workflow
from cloudtrain.journey import Tools
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.errors import CloudtrainError, NotFoundError
from cloudtrain.model.instance import InstanceState
from cloudtrain.model.run import Outcome, Run
from cloudtrain.recovering import run_named

from .conftest import MACHINE, World


@pytest.fixture
def detached(world: World) -> Run:
    job = world.job("mkdir -p results && echo $WORD > results/out", outputs=("results/",), env={"WORD": "private"}, secrets=())
    return workflow.train(job, MACHINE, world.tools, detach=True)


@pytest.fixture
def empty(world: World, tmp_path: Path) -> Iterator[Tools]:
    """Return the tools of somebody whose ledger was deleted."""
    with Ledger.open(tmp_path / "new home", world.clock) as ledger:
        yield replace(world.tools, ledger=ledger)


def test_a_detached_run_is_taken_up_from_its_folder(world: World, detached: Run, empty: Tools) -> None:
    found = run_named(detached.id[-4:], empty, world.folder / "job")
    assert found == replace(detached, folder=found.folder)
    assert "written down again" in world.notes
    over = workflow.resume(found, empty)
    assert over.outcome is Outcome.SUCCEEDED
    assert (detached.folder / "results" / "out").read_text() == "private\n"
    assert list(world.provider.list_owned()) == []


def test_its_folder_may_have_been_moved(world: World, detached: Run, empty: Tools) -> None:
    (world.folder / "job").rename(world.folder / "moved")
    found = run_named(detached.id, empty, world.folder / "moved")
    assert found.folder == world.folder / "moved" / "runs" / detached.id
    assert empty.ledger.job_of(found.id).folder == world.folder / "moved"
    assert workflow.resume(found, empty).outcome is Outcome.SUCCEEDED


def test_its_folder_tells_nothing_of_what_the_environment_held(detached: Run) -> None:
    assert "private" not in (detached.folder / "run.json").read_text().replace(detached.job, "")


def test_a_run_whose_job_had_not_begun_is_not_begun_without_its_environment(world: World, detached: Run, empty: Tools) -> None:
    file = detached.folder / "run.json"
    record = json.loads(file.read_text())
    record["ledger"]["run"]["phase"] = "uploading"
    file.write_text(json.dumps(record))
    with pytest.raises(CloudtrainError, match="had not begun"):
        run_named(detached.id, empty, world.folder / "job")
    assert empty.ledger.runs() == []


@pytest.mark.parametrize("change", [{"ledger": None}, {"ledger": {"run": {"id": 3}}}, {"ledger": {"run": 1}}])
def test_a_damaged_folder_is_named(world: World, detached: Run, empty: Tools, change: dict[str, object]) -> None:
    file = detached.folder / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(CloudtrainError, match=r"run\.json cannot be taken up"):
        run_named(detached.id, empty, world.folder / "job")


def test_a_record_that_was_copied_to_another_folder_is_not_taken_up(world: World, detached: Run, empty: Tools) -> None:
    detached.folder.rename(detached.folder.parent / "copy")
    with pytest.raises(CloudtrainError, match="the record of"):
        run_named("copy", empty, world.folder / "job")


def test_another_persons_machine_is_left_alone(world: World, detached: Run, empty: Tools) -> None:
    stranger = replace(empty, owner="you-there")
    with pytest.raises(NotFoundError, match="not yours"):
        run_named(detached.id, stranger, world.folder / "job")
    assert empty.ledger.runs() == []
    assert world.provider.get(detached.instances[0]).state is InstanceState.RUNNING


def test_a_word_that_is_nobodys_is_said_so(world: World, empty: Tools) -> None:
    for word in ("", "nope"):
        with pytest.raises(NotFoundError, match="no run"):
            run_named(word, empty, world.folder / "job")
