"""What the quick answers may not load. Times are measured by benchmarks/startup.py; here only modules are counted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "asyncio",
    "asyncssh",
    "azure",
    "boto3",
    "botocore",
    "cloudtrain.config.job",
    "cloudtrain.config.machine",
    "cloudtrain.prices.table",
    "cloudtrain.providers.registry",
    "cloudtrain.remote.base",
    "cloudtrain.wiring",
    "cloudtrain.workflow",
    "google",
    "http",
    "importlib.metadata",
    "pathspec",
    "pydantic",
    "pydantic_core",
    "rich",
    "yaml",
}

RUNNER = """
import sys
from cloudtrain.cli.main import main
try:
    main(sys.argv[1:])
finally:
    sys.stderr.write("\\n".join(["LOADED", *sys.modules]))
"""


def loaded_by(*words: str, home: Path) -> tuple[str, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, *words],
        capture_output=True,
        text=True,
        env=os.environ | {"CLOUDTRAIN_HOME": str(home)},
    )
    modules = done.stderr.partition("LOADED\n")[2].split()
    assert "typer" in modules
    return done.stdout, set(modules)


@pytest.mark.parametrize("words", [("--help",), ("version",), ("version", "--json"), ("ip", "lab"), ("ip", "lab", "--json")])
def test_a_quick_answer_loads_nothing_heavy(words: tuple[str, ...], lab: Path) -> None:
    out, modules = loaded_by(*words, home=lab)
    assert out
    assert modules & HEAVY == set()


def test_help_imports_no_verb(lab: Path) -> None:
    _, modules = loaded_by("--help", home=lab)
    assert [name for name in modules if name.startswith("cloudtrain.cli.verbs.")] == []
    assert "cloudtrain.ledger" not in modules


def test_a_verb_imports_no_other_verb(lab: Path) -> None:
    _, modules = loaded_by("ip", "lab", home=lab)
    assert [name for name in modules if name.startswith("cloudtrain.cli.verbs.")] == ["cloudtrain.cli.verbs.ip"]


@pytest.mark.parametrize("words", [("status",), ("offers", "--provider", "local"), ("configs", "--json"), ("check",)])
def test_a_piped_answer_loads_neither_rich_nor_a_cloud(words: tuple[str, ...], home: Path) -> None:
    out, modules = loaded_by(*words, home=home)
    assert out
    assert modules & {"rich", "boto3", "azure.identity", "google.auth", "asyncssh"} == set()
