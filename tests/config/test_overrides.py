"""Flags beat files, and a wrong flag is told by its name."""

from pathlib import Path

import pytest

from cloudtrain.config.job import load_job
from cloudtrain.config.machine import load_machine
from cloudtrain.config.overrides import lay_over
from cloudtrain.config.schema import JobFile
from cloudtrain.model.errors import ConfigError
from cloudtrain.model.spec import Budget, Framework, Market, OnFinish, Resources

JOB = """\
command: python train.py
budget: lots
framework: pytorch
resources: {gpus: 1, cpus: 2}
env: {EPOCHS: 5, RATE: "0.1"}
outputs: [results]
idle_timeout: 10m
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    job = tmp_path / "job"
    job.mkdir()
    (job / "cloudtrain.yaml").write_text(JOB)
    monkeypatch.chdir(job)
    return job


def test_flags_replace_what_the_file_says_even_when_it_is_wrong(folder: Path) -> None:
    spec = load_job(
        folder,
        command="python other.py",
        overrides={
            "budget": "$2",
            "framework": Framework.JAX,
            "resources.gpus": "4",
            "resources.memory_gb": 8,
            "env.EPOCHS": 1,
            "env.NEW": "x=y",
            "outputs": "logs",
            "max_lifetime": "2d",
            "idle_timeout": "never",
            "on_finish": "keep",
            "name": None,
        },
    )
    assert spec.command == "python other.py"
    assert spec.budget == Budget(2.0, 172800.0)
    assert spec.framework is Framework.JAX
    assert spec.resources == Resources(gpus=4, cpus=2, memory_gb=8.0)
    assert spec.env == {"EPOCHS": "1", "RATE": "0.1", "NEW": "x=y"}
    assert (spec.outputs, spec.idle_timeout_s, spec.on_finish) == (("logs",), None, OnFinish.KEEP)
    assert spec.name == "job"


def test_a_command_may_come_as_an_override_and_words_after_the_dashes_beat_it(folder: Path) -> None:
    assert load_job(folder, overrides={"budget": 1, "command": "a"}).command == "a"
    assert load_job(folder, overrides={"budget": 1, "command": "a"}, command="b").command == "b"


def test_a_group_that_the_file_leaves_out_is_made(folder: Path) -> None:
    (folder / "cloudtrain.yaml").write_text("command: x\nenv:\n")
    spec = load_job(folder, overrides={"env.A": "1", "resources.gpus": 2})
    assert (spec.env, spec.resources.gpus) == ({"A": "1"}, 2)


@pytest.mark.parametrize(
    ("overrides", "flag", "words", "hint"),
    [
        ({"budget": "many"}, "--budget", 'US dollars, found "many"', "5.00"),
        ({"budget": 0}, "--budget", "more than zero", "Leave it out"),
        ({"budget": float("nan")}, "--budget", "found nan", "5.00"),
        ({"budget": float("inf")}, "--budget", "found inf", "5.00"),
        ({"budget": True}, "--budget", "found true", "5.00"),
        ({"max_lifetime": "4"}, "--max-lifetime", "without a unit", "`4h`"),
        ({"max_lifetime": 4}, "--max-lifetime", "without a unit", "`4h`"),
        ({"framework": "tensorflo"}, "--framework", "expected one of", "`tensorflow`"),
        ({"resources.gpus": "two"}, "--gpus", "whole number", "`--gpus 1`"),
        ({"resources.gpus": -1}, "--gpus", "0 or more", "`--gpus 1`"),
        ({"on_finish": "explode"}, "--on-finish", "terminate, stop, keep", "`--on-finish terminate`"),
        ({"env.E-X": "1"}, "--env E-X", "environment variable", "underscores"),
        ({"env.EPOCHS": True}, "--env EPOCHS", "found true", '"true"'),
        ({"env.EPOCHS": "a\udcff"}, "--env EPOCHS", "control character", "Remove"),
        ({"env.EPOCHS": ["a"]}, "--env EPOCHS", "found a list", '""'),
        ({"env": "x"}, "--env", "group of settings", "`--env NAME=VALUE`"),
        ({"inputs": ["nowhere"]}, "--inputs", 'no "nowhere"', "count from"),
        ({"outputs": 5}, "--outputs", "a list, found 5", "`--outputs results/`"),
        ({"secrets": "EPOCHS"}, "--secrets", "env too", "remove it"),
        ({"bugdet": "5"}, "--bugdet", "no setting", "`budget`"),
        ({"command": ""}, "-- COMMAND", "found nothing", "`-- python train.py"),
    ],
)
def test_a_wrong_flag_is_told_by_its_name_before_the_file_s_own_mistakes(
    overrides: dict[str, object], flag: str, words: str, hint: str, folder: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_job(folder, command=str(overrides.pop("command", "x")), overrides=overrides)
    assert (caught.value.file, caught.value.line, caught.value.field) == ("", None, flag)
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"{flag}: ")


def test_a_flag_into_a_group_that_is_none_leaves_the_file_s_mistake_to_be_told(folder: Path) -> None:
    (folder / "cloudtrain.yaml").write_text("command: x\nresources: big\n")
    with pytest.raises(ConfigError) as caught:
        load_job(folder, overrides={"resources.gpus": 1})
    assert (caught.value.file, caught.value.line, caught.value.field) == ("cloudtrain.yaml", 2, "resources")


def test_the_same_rules_hold_for_machine_configs(folder: Path) -> None:
    (folder / "m.yaml").write_text("provider: aws\nregions: [us-east-1]\ninstance_types: [a.b]\nmarket: cheap\n")
    machine = load_machine("m", folders=[folder], overrides={"regions": "eu-west-1", "market": "spot", "ssh.port": "2222"})
    assert (machine.regions, machine.market, machine.ssh.port) == (("eu-west-1",), Market.SPOT, 2222)
    with pytest.raises(ConfigError) as caught:
        load_machine("m", folders=[folder], overrides={"disk_gb": "0"})
    assert (caught.value.file, caught.value.field) == ("", "--disk-gb")
    assert "1 more problem " in caught.value.hint


def test_a_flag_that_was_not_given_leaves_the_file_as_it_is(folder: Path) -> None:
    spec = load_job(
        folder, overrides={"budget": "5", "framework": None, "outputs": None, "env.EPOCHS": None, "resources": None}
    )
    assert (spec.framework, spec.outputs, spec.env["EPOCHS"]) == (Framework.PYTORCH, ("results",), "5")
    assert spec.resources == Resources(gpus=1, cpus=2)


def test_nothing_that_was_handed_in_is_changed() -> None:
    data = {"command": "x", "env": {"A": "1"}, "resources": {"gpus": "1"}}
    overrides = {"env.A": "2", "env.B": "3", "resources.gpus": 4, "outputs": "logs"}
    merged, flags = lay_over(data, overrides, JobFile)
    assert merged == {"command": "x", "env": {"A": "2", "B": "3"}, "resources": {"gpus": 4}, "outputs": ["logs"]}
    assert flags[("env", "B")] == "--env B"
    assert data == {"command": "x", "env": {"A": "1"}, "resources": {"gpus": "1"}}
    assert overrides == {"env.A": "2", "env.B": "3", "resources.gpus": 4, "outputs": "logs"}
