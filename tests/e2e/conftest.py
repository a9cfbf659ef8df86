"""Whoever types here types into children of one process that has everything imported."""

from collections.abc import Iterator

import pytest

from ..clouds.killing import Helper


@pytest.fixture(scope="session")
def helper() -> Iterator[Helper]:
    with Helper() as helper:
        yield helper
