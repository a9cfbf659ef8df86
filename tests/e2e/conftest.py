"""Whoever types here types into children of one process that has everything imported."""

from collections.abc import Iterator

import pytest

from ..clouds.killing import Helper
from .playground import Playground, open_playground


@pytest.fixture(scope="session")
def helper() -> Iterator[Helper]:
    with Helper() as helper:
        yield helper


@pytest.fixture(scope="module")
def playground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, helper: Helper
) -> Iterator[Playground]:
    """Return the pretend cloud that the test names; the tests of a module share it."""
    with open_playground(request.param, tmp_path_factory.mktemp(request.param), helper) as playground:
        yield playground
