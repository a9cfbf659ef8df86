"""What travels to a machine as source stands alone there, on an old Python too."""

import ast
import sys
from pathlib import Path

import pytest

from cloudtrain import remote

FILES = sorted(Path(remote.__file__).parent.glob("*_there.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_python_3_8_and_imports_the_standard_library_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom):
            # Files sent together share one namespace, so a name of a neighbour's needs no import there.
            neighbours = {other.stem for other in FILES}
            assert (
                node.module in (sys.stdlib_module_names if node.level == 0 else neighbours) or node.module == "collections.abc"
            )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_import_of_a_neighbour_stands_on_one_line(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert not (line.startswith("from .") and line.endswith("("))


def test_there_are_some() -> None:
    assert [path.stem for path in FILES] == [
        "file_there",
        "landing_there",
        "leaving_there",
        "runner_there",
        "tar_there",
    ]
