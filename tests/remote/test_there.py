"""What travels to a machine as source stands alone there, on an old Python too."""

import ast
import random
import sys
import zlib
from pathlib import Path

import pytest

from cloudtrain import remote
from cloudtrain.remote import agent_source
from cloudtrain.remote.frames_there import squeezed

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
    assert len(agent_source.start()[1]) < 1 << 14


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


FIGURES = bytes(random.Random(7).choices(b"0123456789,.", k=1 << 17))


@pytest.mark.parametrize(
    ("body", "at_most"),
    [
        (FIGURES, 0.94),  # of what the quickest search for repetitions comes to
        (b"".join(b"the %d sheep and the %d goats\n" % (n, n * 7) for n in range(5000)), 1.0),
        (FIGURES[:300] * 400, 1.0),
    ],
    ids=["nothing repeats", "words repeat", "all repeats"],
)
def test_what_is_squeezed_gets_small_and_comes_back(body: bytes, at_most: float) -> None:
    deflated = squeezed(body)
    assert deflated is not None
    assert len(deflated) <= at_most * len(zlib.compress(body, 1))
    assert zlib.decompress(deflated) == body


@pytest.mark.parametrize("body", [random.Random(7).randbytes(1 << 17), b"a" * 200, b""], ids=["noise", "short", "nothing"])
def test_what_would_hardly_get_smaller_is_left_as_it_is(body: bytes) -> None:
    assert squeezed(body) is None
