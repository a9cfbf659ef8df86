import ast
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from cloudtrain.remote import guest_archive

SOURCES = sorted(item.name for item in resources.files("cloudtrain.guest").iterdir() if item.name.endswith(".py"))


def source(name: str) -> str:
    return (resources.files("cloudtrain.guest") / name).read_text("utf-8")


def oldest_python() -> str | None:
    found = shutil.which("python3.8")
    kept = sorted(Path.home().glob(".pyenv/versions/3.8*/bin/python3"))
    # pyenv's own python3.8 is a script that may refuse to choose a version.
    candidates = [*map(str, kept), *([found] if found else [])]
    return next((path for path in candidates if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0), None)


def test_same_sources_give_same_bytes() -> None:
    guest_archive.build.cache_clear()
    first = guest_archive.build()
    guest_archive.build.cache_clear()
    assert guest_archive.build() == first
    assert re.fullmatch(r"guest-[0-9a-f]{12}\.pyz", guest_archive.file_name())


def test_archive_holds_sources_alone() -> None:
    with zipfile.ZipFile(io.BytesIO(guest_archive.build())) as archive:
        assert archive.namelist() == sorted(["__main__.py", *(f"guest/{name}" for name in SOURCES)])
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("name", SOURCES)
def test_every_file_is_old_python_and_imports_standard_library_alone(name: str) -> None:
    tree = ast.parse(source(name), feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0}
    assert {module.split(".")[0] for module in imported} <= sys.stdlib_module_names
    relative = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level > 0]
    assert set(relative) <= {1}, "an import that leaves the package fails inside the archive"


@pytest.mark.skipif(oldest_python() is None, reason="no Python 3.8 on this machine")
def test_whole_life_of_a_job_on_the_oldest_python(guest, make_run) -> None:
    old = replace(guest, python=oldest_python())
    run = make_run("echo $WORD", guest=old, env={"WORD": "hello"})
    run.start()
    state = run.wait()
    assert (state["phase"], state["exit_code"]) == ("ended", 0)
    assert run.log.endswith(b"Z hello\n")
    assert old.ask("signal", run.path, "TERM")["ended_by"] == "job"
    assert old.ask("facts")["python"].startswith("3.8")
    assert old.ask("gpu-check", "none")["ok"] is False
    ready = old.ask("prepare", run.path, run.work, stdin={"framework": "none", "requirements": None})
    assert os.path.samefile(ready["python"], oldest_python())
