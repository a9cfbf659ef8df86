"""`cloudtrain train mybox` on a real machine behind a real SSH server: claimed, used, given back."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cloudtrain.cli.main import make_app

from .conftest import Box


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a job, and a home that is not yours."""
    desk = tmp_path / "desk"
    (desk / "configs").mkdir(parents=True)
    monkeypatch.setenv("CLOUDTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLOUDTRAIN_CACHE", raising=False)
    monkeypatch.chdir(desk)
    return desk


def write_config(name: str, box: Box) -> None:
    host = box.host
    Path("configs", f"{name}.yaml").write_text(
        "provider: hosts\ndescription: Under my desk\n"
        f"hosts:\n  - address: {host.user}@{host.address}:{host.port}\n    host_key: {host.host_keys[0]}\n"
        f"ssh: {{options: {{IdentityFile: {host.options['IdentityFile']}, IdentitiesOnly: yes}}}}\n"
    )


def cloudtrain(*words: str) -> Result:
    result = CliRunner().invoke(make_app(), list(words), prog_name="cloudtrain")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_machine_of_ones_own_is_claimed_used_and_given_back(free: tuple[Box, Box], desk: Path) -> None:
    box = free[0]
    write_config("mybox", box)
    (desk / "note.txt").write_text("hello")
    claims = box.home / ".cloudtrain" / "claims"
    (desk / "cloudtrain.yaml").write_text(
        f"name: hello\ninputs: [note.txt]\ncommand: mkdir results && cp note.txt {claims}/*.json results/ && echo trained\n"
    )
    trained = cloudtrain("train", "mybox", "--yes")
    assert trained.exit_code == 0, trained.output
    (run,) = (desk / "runs").iterdir()
    assert (run / "results" / "note.txt").read_text() == "hello"
    (claim,) = (json.loads(path.read_text()) for path in (run / "results").glob("*.json"))
    assert (claim["name"], claim["run_id"]) == ("mybox", run.name)
    assert "trained" in (run / "job.log").read_text()
    record = json.loads((run / "run.json").read_text())
    assert (record["outcome"], record["usd"], record["instance"]["zone"]) == ("succeeded", 0.0, box.host.name)
    assert box.claims == []
    assert cloudtrain("status").stdout.startswith("No machine exists; nothing bills.\n")


def test_configs_are_listed_and_no_machine_is_asked(desk: Path) -> None:
    lines = ("provider: hosts", "description: Under my desk", "hosts: [{address: nowhere.invalid, price: 0.5}]")
    Path("configs", "mybox.yaml").write_text("\n".join(lines) + "\n")
    said = cloudtrain("configs", "--json")
    (mine,) = (config for config in json.loads(said.stdout)["configs"] if config["name"] == "mybox")
    assert (mine["offer"]["instance_type"], mine["offer"]["usd_per_hour"]) == ("nowhere.invalid", 0.5)
    assert json.loads(said.stdout)["broken"] == []
