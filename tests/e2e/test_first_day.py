"""A newcomer's first day, typed into a real shell's place: processes of their own, a fresh state folder, nothing patched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..clouds.killing import AS_IT_IS, Helper, Typed


class Shell:
    """A person's folder and their `cloudtrain`."""

    def __init__(self, folder: Path, helper: Helper) -> None:
        self.folder = folder
        self.environ = {**os.environ, "CLOUDTRAIN_HOME": str(folder.parent / "home"), "NO_COLOR": "1"}
        self._helper = helper

    def type(self, *words: str, exit_code: int = 0) -> Typed:
        done = self._helper.begin(words, self.environ, self.folder, ahead_s=AS_IT_IS).wait()
        assert done.status == exit_code, f"{words}: {done.status}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture
def shell(tmp_path: Path, helper: Helper) -> Shell:
    tmp_path = tmp_path / "job"
    tmp_path.mkdir()
    (tmp_path / "cloudtrain.yaml").write_text("name: first\ncommand: python3 train.py\noutputs: [results/]\n")
    (tmp_path / "train.py").write_text(
        "import json, os, pathlib\n"
        "out = pathlib.Path('results'); out.mkdir()\n"
        "with (out / 'metrics.jsonl').open('w') as file:\n"
        "    for epoch in range(3):\n"
        "        print('epoch', epoch)\n"
        "        file.write(json.dumps({'epoch': epoch, 'loss': 1 / (epoch + 1)}) + '\\n')\n"
        "print('sample', os.environ.get('CLOUDTRAIN_SAMPLE'))\n"
    )
    return Shell(tmp_path, helper)


@pytest.mark.parametrize("machine", ["local", "memory"])
def test_train_and_look_around(shell: Shell, machine: str) -> None:
    trained = shell.type("train", machine, "--sample", "0.5")
    assert "epoch 2" in trained.stdout
    assert "sample 0.5" in trained.stdout
    (run,) = (shell.folder / "runs").iterdir()
    assert (run / "results" / "metrics.jsonl").read_text().count("\n") == 3
    assert "<svg" in (run / "report.html").read_text()
    record = json.loads((run / "run.json").read_text())
    assert (record["outcome"], record["machine"], record["sample"]) == ("succeeded", machine, 0.5)

    assert "epoch 1" in shell.type("logs").stdout
    assert "epoch 1" in shell.type("logs", "-f", run.name).stdout
    status = json.loads(shell.type("status", "--json").stdout)
    assert status["machines"] == []
    assert status["runs"][0]["id"] == run.name
    assert run.name in shell.type("status").stdout
    shell.type("pull", run.name)


@pytest.mark.parametrize("machine", ["local", "memory"])
def test_a_machine_by_name_from_start_to_end(shell: Shell, machine: str) -> None:
    shell.type("get", machine)
    shell.type("ip", machine, exit_code=2)
    shell.type("start", machine)
    assert shell.type("ip").stdout.strip()
    assert shell.type("ssh", machine, "--", "echo", "it's $HOME").stdout == "it's $HOME\n"
    shell.type("ssh", machine, "--", "sh", "-c", "exit 7", exit_code=7)
    (seen,) = json.loads(shell.type("status", "--json").stdout)["machines"]
    assert (seen["name"], seen["standing"]) == (machine, "known")
    shell.type("train", machine)
    shell.type("stop", machine)
    shell.type("start", machine)
    shell.type("terminate", machine, "--yes")
    assert json.loads(shell.type("status", "--json").stdout)["machines"] == []
    shell.type("stop", machine, exit_code=2)


def test_what_fails_says_so_with_the_documented_code(shell: Shell) -> None:
    assert shell.type("train", "local", "--", "sh", "-c", "exit 9", exit_code=5)
    refused = shell.type("train", "aws-g5", exit_code=3)
    assert "aws configure" in refused.stderr
    unknown = shell.type("train", "aws-p22", exit_code=2)
    assert "aws-p2" in unknown.stderr
    shell.type("trian", "local", exit_code=2)
    (shell.folder / "cloudtrain.yaml").write_text("command: x\nbudgit: 3\n")
    wrong = shell.type("train", "local", exit_code=2)
    assert "cloudtrain.yaml:2" in wrong.stderr
    assert "budget" in wrong.stderr
    shell.type("logs", "no-such-run", exit_code=2)


def test_an_old_gpu_is_refused_before_money_with_what_would_do(shell: Shell) -> None:
    refused = shell.type("plan", "aws-p2", "--framework", "tensorflow", exit_code=3)
    assert "3.7" in refused.stderr
    assert "cheapest that will do" in refused.stderr
    assert "p2.xlarge" in shell.type("plan", "aws-p2", "--framework", "tensorflow", "--allow-unsupported-gpu").stdout


def test_prices_plans_and_checks_need_no_account(shell: Shell) -> None:
    offers = json.loads(shell.type("offers", "--gpu", "A100", "--max-price", "5", "--json").stdout)["offers"]
    assert offers
    assert all(o["gpu"] == "A100" and o["usd_per_hour"] <= 5 and o["priced_on"] for o in offers)
    configs = json.loads(shell.type("configs", "--json").stdout)["configs"]
    assert {"local", "memory", "aws-p2", "azure-t4", "gcp-l4"} <= {c["name"] for c in configs}
    plan = shell.type("plan", "gcp-l4", "--budget", "2")
    assert "g2-standard" in plan.stdout
    shell.type("check")
    shell.type("check", "aws", exit_code=3)
    assert shell.type("version").stdout.strip()


def test_closed_streams_are_no_error(shell: Shell) -> None:
    command = f"exec {sys.executable} -m cloudtrain train local -- true >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], cwd=shell.folder, env=shell.environ, check=False, timeout=120)
    assert done.returncode == 0
    (run,) = (shell.folder / "runs").iterdir()
    assert json.loads((run / "run.json").read_text())["outcome"] == "succeeded"
