"""What the tests of pretend clouds begin with, and which cases of their matrices are tried by default."""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtrain.testing.playground.hypervisor import open_hypervisor

from .killing import Helper
from .world import OPENED, Hosts, Notebook, World, opened_world


@pytest.fixture(scope="session")
def helper() -> Iterator[Helper]:
    with Helper() as helper:
        yield helper


@pytest.fixture
def world(request: pytest.FixtureRequest, helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a pretend cloud that boots nothing: AWS, or the one that the test names."""
    with opened_world(getattr(request, "param", "aws"), Notebook(), helper, tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture(scope="module")
def world_of_hosts(request: pytest.FixtureRequest, helper: Helper, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return one whose machines are SSH hosts on this computer; the tests of a module share it."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "hosts").mkdir()
    hosts = Hosts(open_hypervisor(folder / "hosts", lambda id: world.pretend.cloud.power_off(id), kind="loopback"))
    connect = [sys.executable, "-m", "cloudtrain.testing.playground.connect", str((folder / "hosts").resolve())]
    try:
        name = getattr(request, "param", "aws")
        with pytest.MonkeyPatch.context() as patch, opened_world(name, hosts, helper, folder, patch) as world:
            world.proxy_command = f"{shlex.join(connect)} %h %p"
            patch.setenv("CLOUDTRAIN_SSH_PROXY_COMMAND", world.proxy_command)
            yield world
    finally:
        hosts.close()


SHARE, CHEAPEST, RARER = 6, 4, 4
"""Of the cases of each matrix every sixth one is tried by default, from the fifth on: of the verbs that are killed it takes the
least time. Of the faults of other clouds than the first it is a quarter of that. All are tried on request."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the default suite short: a fixed share of each matrix, and everything that is no case of one."""
    if os.environ.get("CLOUDTRAIN_KILL_MATRIX") == "all" or os.environ.get("CLOUDTRAIN_FAULT_MATRIX") == "all":
        return
    share = int(os.environ.get("CLOUDTRAIN_MATRIX_SHARE", SHARE))
    left_out: set[int] = set()
    for name in MATRICES:
        cases = [item for item in items if item.path == HERE / name and _is_case(item)]
        first = [item for item in cases if item.callspec.params.get("world", "aws") == "aws" or name == "test_killed.py"]
        others = [item for item in cases if item not in first]
        if name == "test_killed_runs.py":
            left_out |= {id(item) for item in cases if share > 1 and item.callspec.id not in BY_DEFAULT}
            continue
        for some, each in ((first, share), (others, share * RARER if share > 1 else 1)):
            left_out |= {id(item) for number, item in enumerate(some) if number % each != CHEAPEST % each}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left_out])
    items[:] = [item for item in items if id(item) not in left_out]


def _is_case(item: pytest.Item) -> bool:
    return hasattr(item, "callspec") and getattr(item, "originalname", "") not in ALWAYS


HERE = Path(__file__).parent
MATRICES = ("test_faults.py", "test_faults_of_verbs.py", "test_killed.py", "test_killed_runs.py")
ALWAYS = (
    "test_the_calls_of_a_verb_are_those_that_are_tried",
    "test_one_answer_that_knows_no_such_machine_is_not_believed",
)
"""Without these the others may try what is not so."""

BY_DEFAULT = ("aws-train", "gcp-attach", *OPENED)
"""Of the runs that are killed, which need hosts and take the longest, each verb on one cloud; and the extension on each."""
