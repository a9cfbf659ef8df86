"""A job's file and flags become a JobSpec."""

import os
from pathlib import Path

import pytest

from cloudtrain.config.job import load_job
from cloudtrain.model.errors import ConfigError
from cloudtrain.model.spec import Budget, Framework, JobSpec, OnFinish, Resources

FULL = """
name: digits-cnn
framework: tensorflow
command: |
  python prepare.py
  python train.py --epochs 5
inputs: [., data/, ./data, src/]
requirements: ./requirements.txt
outputs: [results/, results, logs]
resources: {gpus: 1, gpu_memory_gb: 16, cpus: "4", memory_gb: 15.5, disk_gb: 100, gpu: A10G}
budget: 5.00
max_lifetime: 1h30m
idle_timeout: 90s
on_finish: stop
env:
  EPOCHS: "5"
  VERSION: 1.10
  RATE: 1e-3
  COUNTRY: no
  DAY: 2026-11-21
  NOTHING: ""
secrets: [WANDB_API_KEY, WANDB_API_KEY]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    job = tmp_path / "My Jöb #1"
    (job / "data").mkdir(parents=True)
    (job / "src").mkdir()
    (job / "requirements.txt").touch()
    return job


def write(folder: Path, text: str) -> Path:
    (folder / "cloudtrain.yaml").write_text(text)
    return folder


def test_every_setting_arrives(folder: Path) -> None:
    spec = load_job(write(folder, FULL))
    assert spec == JobSpec(
        name="digits-cnn",
        folder=folder,
        command="python prepare.py\npython train.py --epochs 5\n",
        framework=Framework.TENSORFLOW,
        inputs=(".", "data", "src"),
        outputs=("results", "logs"),
        requirements="requirements.txt",
        resources=Resources(gpu="A10G", gpus=1, gpu_memory_gb=16.0, cpus=4, memory_gb=15.5, disk_gb=100),
        budget=Budget(usd=5.0, max_lifetime_s=5400.0),
        idle_timeout_s=90.0,
        on_finish=OnFinish.STOP,
        env={"EPOCHS": "5", "VERSION": "1.10", "RATE": "1e-3", "COUNTRY": "no", "DAY": "2026-11-21", "NOTHING": ""},
        secrets=("WANDB_API_KEY",),
    )
    assert spec.folder.is_absolute()


def test_what_is_left_out_or_empty_is_the_model_s_default(folder: Path) -> None:
    defaults = JobSpec(name="My-Job-1", folder=folder, command="true x")
    assert load_job(write(folder, "command: true x\n")) == defaults
    assert load_job(write(folder, "command: true x\nname:\nresources:\nenv: ~\nidle_timeout: null\noutputs:\n")) == defaults
    (folder / "cloudtrain.yaml").unlink()
    assert load_job(folder, command="true x") == defaults


@pytest.mark.parametrize(
    ("written", "usd"), [("5", 5.0), ('"5.00"', 5.0), ("$5", 5.0), ("$ 7.5", 7.5), (".5", 0.5), ("$.5", 0.5), ("5.", 5.0)]
)
def test_money(written: str, usd: float, folder: Path) -> None:
    assert load_job(write(folder, f"command: x\nbudget: {written}\n")).budget.usd == usd


def test_an_idle_timeout_of_never_is_none(folder: Path) -> None:
    assert load_job(write(folder, "command: x\nidle_timeout: never\n")).idle_timeout_s is None


def test_an_empty_list_means_nothing_travels(folder: Path) -> None:
    spec = load_job(write(folder, "command: x\ninputs: []\noutputs: []\n"))
    assert (spec.inputs, spec.outputs) == ((), ())


def test_a_link_that_stays_inside_is_fine_and_a_byte_order_mark_too(folder: Path) -> None:
    (folder / "link").symlink_to("data")
    (folder / "cloudtrain.yaml").write_bytes(b"\xef\xbb\xbfcommand: x\r\ninputs: [link]\r\n")
    spec = load_job(folder)
    assert (spec.command, spec.inputs) == ("x", ("link",))


def test_a_folder_reached_through_a_link_or_a_relative_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "command: x\ninputs: [data]\n")
    (folder.parent / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    assert load_job(Path()) == load_job(folder.parent / "link") == load_job(folder)


@pytest.mark.parametrize(
    ("name", "slug"),
    [("digits", "digits"), ("a b", "a-b"), ("..x..", "x"), ("日本", "job"), ("v1.2_x", "v1.2_x"), ("n" * 39 + "- z", "n" * 39)],
)
def test_the_folder_names_the_job(name: str, slug: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    assert load_job(tmp_path / name, command="x").name == slug


def test_neither_file_nor_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match=r"there is no cloudtrain\.yaml here") as caught:
        load_job(Path())
    assert (caught.value.file, caught.value.line) == ("cloudtrain.yaml", None)
    assert "cloudtrain init" in caught.value.hint
    assert "-- COMMAND" in caught.value.hint
    assert "Rename" not in caught.value.hint
    (folder / "cloudtrain.yml").touch()
    with pytest.raises(ConfigError) as caught:
        load_job(Path())
    assert "Rename cloudtrain.yml" in caught.value.hint


def test_a_deleted_current_folder_still_gives_a_clean_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match="no such folder"):
        load_job(Path(), command="x")
    os.chdir(tmp_path)


@pytest.mark.parametrize(
    "address",
    [
        "s3://my-bucket/data/",
        "gs://my_bucket.of.mine/data",
        "gs://bucket",
        "az://account/my-container",
        "az://account1/data/a b/",
        "az://acc/$root/x",
    ],
)
def test_an_address_in_object_storage_is_an_input(folder: Path, address: str) -> None:
    job = load_job(write(folder, f"command: 'true'\ninputs: [., '{address}']\n"))
    assert (job.inputs, job.stored_inputs) == ((".",), (address,))


@pytest.mark.parametrize(
    "address",
    [
        *("gs://", "gs://A/data/", "gs://-b/x", "s3://my_bucket/x", "http://host/x", "gs:/bucket/x"),
        *(
            "az://account",
            "az://account/",
            "az://my-account/data",
            "az://account/a--b/x",
            "az://account/Data/x",
            "az://ac/data",
        ),
    ],
)
def test_another_address_is_none(folder: Path, address: str) -> None:
    with pytest.raises(ConfigError):
        load_job(write(folder, f"command: 'true'\ninputs: [., '{address}']\n"))
