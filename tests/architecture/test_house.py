"""The house keeps its shape: public names, layers, sizes, words."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import cloudtrain

PACKAGE = Path(cloudtrain.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

PUBLIC_NAMES = {
    "Budget",
    "CloudtrainError",
    "ConfigError",
    "JobSpec",
    "MachineSpec",
    "Outcome",
    "Plan",
    "Resources",
    "Run",
    "RunPhase",
    "Statement",
    "Status",
    "__version__",
    "cost",
    "load",
    "plan",
    "resume",
    "status",
    "train",
}


def test_the_public_names_are_these() -> None:
    assert set(cloudtrain.__all__) == PUBLIC_NAMES
    for name in PUBLIC_NAMES:
        assert getattr(cloudtrain, name) is not None


def test_importing_the_package_loads_nothing_of_it() -> None:
    code = "import sys, cloudtrain; print([m for m in sys.modules if m.startswith('cloudtrain.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        cloudtrain.nonsense  # noqa: B018  # looking is the test


@functools.cache
def parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text())


def test_a_module_fits_its_size_and_its_functions_fit_a_screen() -> None:
    assert {module: length for module in MODULES if (length := module.read_text().count("\n")) > 300} == {}
    long = [
        f"{module}: {node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for module in MODULES
        for node in ast.walk(parsed(module))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (node.end_lineno or 0) - node.lineno >= 40
    ]
    assert long == []


def test_every_module_and_public_thing_says_what_it_is() -> None:
    assert [module for module in MODULES if not ast.get_docstring(parsed(module))] == []
    silent = [
        f"{module}: {node.name}"
        for module in MODULES
        for node in parsed(module).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_no_file_is_named_after_nothing() -> None:
    vague = {"utils", "helpers", "common", "manager", "misc"}
    assert [path for path in MODULES if path.stem in vague] == []
