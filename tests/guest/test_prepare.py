import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

# Stands where uv would: strict about what it is asked, leaves a record of it, installs from find-links alone.
FAKE_UV = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys, zipfile
argv = sys.argv[1:]
with open(os.environ["FAKE_UV_RECORD"], "a") as record:
    told = {{name: value for name, value in os.environ.items() if name.startswith("UV_")}}
    print(json.dumps({{"argv": argv, "env": told, "cwd": os.getcwd()}}), file=record)
if argv[0] == "venv":
    assert argv[1:3] == ["--no-project", "--python"], argv
    folder, python = pathlib.Path(argv[4]), os.path.realpath(argv[3])
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / "python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(python)
    (folder / "pyvenv.cfg").write_text("home = " + os.path.dirname(python))
    sys.exit()
assert argv[:3] == ["pip", "install", "--python"], argv
if "FAKE_UV_GATE" in os.environ:
    open(os.environ["FAKE_UV_GATE"]).read()
print("Resolved 1 package in no time", flush=True)
for name in pathlib.Path(argv[-1]).read_text().split():
    wheels = list(pathlib.Path(os.environ["UV_FIND_LINKS"]).glob(name + "-*.whl"))
    if not wheels:
        print("  x No solution found: " + name + " was not found   ", file=sys.stderr)
        sys.exit(1)
    site = next(pathlib.Path(argv[3]).parent.parent.glob("lib/*/site-packages"))
    zipfile.ZipFile(wheels[0]).extractall(site)
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tiny wheel in it."""
    folder = tmp_path_factory.mktemp("wheels")
    info = "tinything-1.0.dist-info"
    files = {
        "tinything.py": "word = 'tiny'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"tinything.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    with zipfile.ZipFile(folder / "tinything-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return folder


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python beside which there is no uv."""
    folder = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return str(folder / "bin" / "python")


@pytest.fixture
def machine(guest, tmp_path, wheels, bare_python):
    """The guest on a machine without uv and network, in whose job's folder lies an empty requirements file."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "requirements.txt").write_text("tinything\n")
    (tmp_path / "bin").mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "PYTHON"))}
    told = {"PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    env.update(told, HOME=str(tmp_path), PATH=str(tmp_path / "bin"), FAKE_UV_RECORD=str(tmp_path / "uv.jsonl"))
    return replace(guest, python=bare_python, env=env)


@pytest.fixture
def fake_uv(machine, tmp_path) -> Path:
    """Put a stand-in for uv on PATH; return where it records what it was asked."""
    path = tmp_path / "bin" / "uv"
    path.write_text(FAKE_UV)
    path.chmod(0o755)
    return tmp_path / "uv.jsonl"


def prepare(machine, tmp_path, framework: str = "none", requirements: str | None = "requirements.txt") -> list[dict[str, Any]]:
    wish = {"framework": framework, "requirements": requirements}
    done = machine.call("prepare", tmp_path / "cache", tmp_path / "work", stdin=wish)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == (1 if events[-1]["event"] == "failed" else 0), done
    return events


def environments(tmp_path) -> list[str]:
    return [path.name for path in (tmp_path / "cache" / "envs").iterdir() if path.is_dir()]


def imports_tinything(python: str) -> bool:
    done = subprocess.run([python, "-c", "import tinything; print(tinything.word)"], capture_output=True, check=False)
    return done.stdout == b"tiny\n"


@pytest.mark.thorough
def test_pip_makes_the_environment_and_it_is_found_again(machine, tmp_path) -> None:
    *progress, ready = prepare(machine, tmp_path)
    assert ready["event"] == "ready"
    assert ready["cached"] is False
    assert ready["packages"]["tinything"] == "1.0"
    assert imports_tinything(ready["python"])
    assert any("tinything" in event["text"] for event in progress)
    [again] = prepare(machine, tmp_path)
    assert (again["python"], again["packages"], again["cached"]) == (ready["python"], ready["packages"], True)
    assert again["seconds"] < 0.1


@pytest.mark.skipif(shutil.which("uv") is None, reason="no uv on this machine")
def test_uv_makes_the_environment(machine, tmp_path) -> None:
    (tmp_path / "bin" / "uv").symlink_to(shutil.which("uv"))
    ready = prepare(machine, tmp_path)[-1]
    assert ready["event"] == "ready", ready
    assert ready["packages"] == {"tinything": "1.0"}
    assert imports_tinything(ready["python"])


def test_uv_is_preferred_and_told_what_pip_was_told(machine, fake_uv, tmp_path, wheels) -> None:
    machine.env["UV_DEFAULT_INDEX"] = "https://own.invalid/simple"
    machine.env["PIP_INDEX_URL"] = "https://pips.invalid/simple"
    machine.env["PIP_EXTRA_INDEX_URL"] = f"https://more.invalid/simple file://{tmp_path}/gone"
    ready = prepare(machine, tmp_path)[-1]
    assert imports_tinything(ready["python"])
    make, install = map(json.loads, fake_uv.read_text().splitlines())
    assert make["argv"] == ["venv", "--no-project", "--python", machine.python, str(Path(ready["python"]).parent.parent)]
    assert install["argv"] == ["pip", "install", "--python", ready["python"], "--no-index", "-r", "requirements.txt"]
    assert install["cwd"] == str(tmp_path / "work")
    assert install["env"] == {
        "UV_DEFAULT_INDEX": "https://own.invalid/simple",
        "UV_INDEX": "https://more.invalid/simple",
        "UV_FIND_LINKS": str(wheels),
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_ready_environment_runs_no_installer(machine, fake_uv, tmp_path) -> None:
    first = prepare(machine, tmp_path)[-1]
    fake_uv.unlink()
    [again] = prepare(machine, tmp_path)
    assert (again["python"], again["cached"]) == (first["python"], True)
    assert not fake_uv.exists()


def test_comment_changes_nothing_and_content_everything(machine, fake_uv, tmp_path) -> None:
    first = prepare(machine, tmp_path)[-1]
    (tmp_path / "work" / "requirements.txt").write_text("# tiny\ntinything\n\n")
    assert prepare(machine, tmp_path)[-1]["cached"] is True
    (tmp_path / "work" / "requirements.txt").write_text("tinything\ntinything\n")
    other = prepare(machine, tmp_path)[-1]
    assert other["cached"] is False
    assert other["python"] != first["python"]


def test_packages_of_the_job_s_own_folder_belong_to_that_folder(machine, fake_uv, tmp_path) -> None:
    (tmp_path / "work" / "requirements.txt").write_text("tinything\n./tinything\n")
    shutil.copytree(tmp_path / "work", tmp_path / "twin")
    first = prepare(machine, tmp_path)[-1]
    (tmp_path / "work").rename(tmp_path / "elsewhere")
    (tmp_path / "twin").rename(tmp_path / "work")
    assert prepare(machine, tmp_path)[-1]["cached"] is True
    (tmp_path / "work").rename(tmp_path / "twin")
    wish = {"framework": "none", "requirements": "requirements.txt"}
    done = machine.call("prepare", tmp_path / "cache", tmp_path / "twin", stdin=wish)
    other = json.loads(done.stdout.splitlines()[-1])
    assert (other["event"], other["cached"]) == ("ready", False)
    assert other["python"] != first["python"]


@pytest.mark.parametrize("line", ["vendor/tinything", "--find-links=vendor"])
def test_changed_content_makes_another_environment(machine, fake_uv, tmp_path, wheels, line) -> None:
    vendor = tmp_path / "work" / "vendor"
    (vendor / "tinything").mkdir(parents=True)
    (vendor / "tinything" / "setup.py").write_text("one")
    shutil.copy(wheels / "tinything-1.0-py3-none-any.whl", vendor)
    # The stand-in installs each word of the file: let it find a wheel for each of them.
    for word in ("vendor/tinything", "--find-links=vendor"):
        target = tmp_path / "links" / f"{word}-1.whl"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(wheels / "tinything-1.0-py3-none-any.whl", target)
    machine.env["PIP_FIND_LINKS"] = str(tmp_path / "links")
    (tmp_path / "work" / "requirements.txt").write_text(line + "\n")
    first = prepare(machine, tmp_path)[-1]
    assert prepare(machine, tmp_path)[-1]["cached"] is True
    (vendor / "tinything" / "setup.py").write_text("two")
    other = prepare(machine, tmp_path)[-1]
    assert (other["event"], other["cached"]) == ("ready", False)
    assert other["python"] != first["python"]


def test_changed_wheel_makes_another_environment_and_its_place_does_not(machine, fake_uv, tmp_path, wheels) -> None:
    wheel = tmp_path / "work" / "own-1.whl"
    shutil.copy(wheels / "tinything-1.0-py3-none-any.whl", wheel)
    shutil.copy(wheel, tmp_path / "own-1.whl-1.whl")
    machine.env["PIP_FIND_LINKS"] = str(tmp_path / "links")
    (tmp_path / "links").mkdir()
    (tmp_path / "own-1.whl-1.whl").rename(tmp_path / "links" / "own-1.whl-1.whl")
    (tmp_path / "work" / "requirements.txt").write_text("own-1.whl\n")
    first = prepare(machine, tmp_path)[-1]
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(tmp_path / "work", tmp_path / "elsewhere" / "work")
    wish = {"framework": "none", "requirements": "requirements.txt"}
    moved = machine.call("prepare", tmp_path / "cache", tmp_path / "elsewhere" / "work", stdin=wish)
    assert json.loads(moved.stdout.splitlines()[-1])["python"] == first["python"]
    wheel.write_bytes(b"another")
    assert prepare(machine, tmp_path)[-1]["python"] != first["python"]


def test_other_package_source_makes_another_environment(machine, fake_uv, tmp_path) -> None:
    first = prepare(machine, tmp_path)[-1]
    machine.env["PIP_EXTRA_INDEX_URL"] = "https://other.invalid/simple"
    other = prepare(machine, tmp_path)[-1]
    assert (other["event"], other["cached"]) == ("ready", False)
    assert other["python"] != first["python"]


def test_failure_tells_the_installer_s_last_words_and_leaves_nothing(machine, fake_uv, tmp_path) -> None:
    (tmp_path / "work" / "requirements.txt").write_text("no-such-thing\n")
    *progress, failed = prepare(machine, tmp_path)
    assert failed["event"] == "failed"
    assert failed["reason"] == "uv could not install: requirements.txt (exit code 1)"
    assert failed["log"].splitlines()[-1] == "x No solution found: no-such-thing was not found"
    assert {"event": "progress", "text": "Resolved 1 package in no time"} in progress
    assert environments(tmp_path) == []


def test_half_environment_is_made_anew(machine, fake_uv, tmp_path) -> None:
    first = prepare(machine, tmp_path)[-1]
    folder = Path(first["python"]).parent.parent
    (folder / ".ready").unlink()
    (folder / "half").touch()
    second = prepare(machine, tmp_path)[-1]
    assert (second["python"], second["cached"]) == (first["python"], False)
    assert not (folder / "half").exists()


def test_environment_whose_python_is_gone_is_made_anew(machine, fake_uv, tmp_path) -> None:
    first = prepare(machine, tmp_path)[-1]
    Path(first["python"]).unlink()
    assert prepare(machine, tmp_path)[-1]["cached"] is False
    assert imports_tinything(first["python"])


def test_two_who_prepare_at_once_install_once(machine, fake_uv, tmp_path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    machine.env["FAKE_UV_GATE"] = str(gate)
    wish = b'{"framework": "none", "requirements": "requirements.txt"}'

    def begin() -> "subprocess.Popen[bytes]":
        asker = machine.popen("prepare", tmp_path / "cache", tmp_path / "work", stdin=subprocess.PIPE)
        asker.stdin.write(wish)
        asker.stdin.close()
        return asker

    # The gate opens for us once the installer waits at it.
    with begin() as first, gate.open("w") as opened, begin() as second:
        assert b"waiting" in second.stdout.readline()
        opened.close()
        answers = [json.loads(asker.stdout.read().splitlines()[-1]) for asker in (first, second)]
    assert [answer["cached"] for answer in answers] == [False, True]
    assert len(fake_uv.read_text().splitlines()) == 2


def test_who_asked_may_go_and_the_environment_is_made_all_the_same(machine, fake_uv, tmp_path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    machine.env["FAKE_UV_GATE"] = str(gate)
    asker = machine.popen("prepare", tmp_path / "cache", tmp_path / "work", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    asker.stdin.write(b'{"framework": "none", "requirements": "requirements.txt"}')
    asker.stdin.close()
    asker.stdout.close()
    gate.write_text("")
    assert asker.wait(timeout=30) == 0, asker.stderr.read()
    asker.stderr.close()
    assert prepare(machine, tmp_path)[-1]["cached"] is True


def test_no_framework_and_no_requirements_is_the_machine_s_own_python(machine, tmp_path) -> None:
    [ready] = prepare(machine, tmp_path, requirements=None)
    assert (ready["event"], ready["python"], ready["packages"]) == ("ready", machine.python, {})
    assert not (tmp_path / "cache").exists()


def test_framework_s_packages_go_before_the_requirements(machine, fake_uv, tmp_path) -> None:
    (tmp_path / "work" / "requirements.txt").write_text("tinything\n")
    ready = prepare(machine, tmp_path, "pytorch")[-1]
    assert ready["event"] == "ready"
    assert json.loads(fake_uv.read_text().splitlines()[-1])["argv"][-3:] == ["torch==2.13.0", "-r", "requirements.txt"]
    (tmp_path / "work" / "requirements.txt").write_text("torch\n")
    events = prepare(machine, tmp_path, "jax")
    assert events[0]["text"].startswith("warning: the framework is jax, yet the requirements name pytorch")


@pytest.mark.parametrize(
    ("framework", "requirements", "words"),
    [("caffe", None, "caffe"), ("none", "nothing.txt", "nothing.txt cannot be read")],
)
def test_wish_that_cannot_be_met_is_a_failed_event(machine, tmp_path, framework, requirements, words) -> None:
    [failed] = prepare(machine, tmp_path, framework, requirements)
    assert failed["event"] == "failed"
    assert words in failed["reason"]


def test_wish_that_is_none_is_an_error(machine, tmp_path) -> None:
    done = machine.call("prepare", tmp_path / "cache", tmp_path / "work", stdin=[])
    assert done.returncode == 1
    assert "error" in json.loads(done.stdout)
