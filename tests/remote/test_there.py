"""What travels to a machine as source stands alone there, on an old Python too."""

import ast
import sys
from pathlib import Path

import pytest

from cloudtrain import remote
from cloudtrain.remote import agent_source

FILES = sorted(path for path in Path(remote.__file__).parent.glob("*_there.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_python_3_8_and_imports_the_standard_library_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom):
            known = sys.stdlib_module_names if node.level == 0 else before(path.stem)
            assert node.module in known or node.module == "collections.abc"


def before(name: str) -> tuple[str, ...]:
    """Return what is there already when a file of the parcel is read; the others travel alone."""
    files = agent_source.FILES
    return files[: files.index(name)] if name in files else ()


def test_the_parcel_is_made_of_these_and_is_small() -> None:
    assert set(agent_source.FILES) <= {path.stem for path in FILES}
    assert len(agent_source.start()[1]) < 16_000


def test_there_are_some() -> None:
    assert [path.stem for path in FILES] == [
        "agent_there",
        "ahead_there",
        "entry_there",
        "file_there",
        "frames_there",
        "landing_there",
        "leaving_there",
        "manifest_there",
        "part_there",
        "receiver_there",
        "runner_there",
        "sender_there",
    ]
