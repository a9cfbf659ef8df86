from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudtrain.ledger.ledger import Ledger
from cloudtrain.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 21, 12, tzinfo=UTC))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def ledger(home: Path, clock: FakeClock) -> Iterator[Ledger]:
    with Ledger.open(home, clock) as ledger:
        yield ledger
