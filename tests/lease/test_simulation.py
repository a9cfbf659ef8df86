"""Random histories of launches, leases and misfortune. The laws: see `World.check`.

The default suite runs as many as fit some five seconds. Ten thousand and more:

    CLOUDTRAIN_HISTORIES=10000 pytest tests/lease/test_simulation.py

A history that breaks a law is shrunk and printed, with what `@reproduce_failure` needs; those that once did are kept as
`@example`s.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from cloudtrain.ledger.ledger import Ledger
from cloudtrain.testing.clock import FakeClock

from .world import ENDS, World

HISTORIES = int(os.environ.get("CLOUDTRAIN_HISTORIES", "120"))

_WHO = _NAME = _KIND = st.integers(0, 1)
_USD = (st.integers(9, 80) | st.integers(1, 250)).map(lambda cents: cents / 100)
_SECONDS = st.sampled_from([1200.0, 7200.0]) | st.integers(60, 7200).map(float)
_OPERATIONS = st.sampled_from(["launch", "get", "list_owned", "terminate", "extend", "stop", "start", "offers", "resize"])
_CLOCKS = st.sampled_from([-(10.0**9), -7200.0, -61.0, 61.0, 7200.0]) | st.integers(-4000, 4000).map(float)
_MISFORTUNE = st.one_of(
    st.tuples(st.just("reboot"), st.integers(1, 120).map(float)),
    st.tuples(st.sampled_from(["kill", "wipe"]), st.just(0.0)),
    st.tuples(st.just("full"), st.sampled_from([0.0, 1.0])),
    st.tuples(st.just("clock"), _CLOCKS),
    st.tuples(st.just("busy"), st.integers(1, 3000).map(float)),
)
_LAUNCH = st.tuples(st.just("launch"), _WHO, _NAME, st.none() | _USD, _SECONDS, _KIND, st.booleans())
_EVENT = st.one_of(
    _LAUNCH,
    st.tuples(st.just("race"), _USD),
    st.tuples(st.just("race_again"), _SECONDS),
    st.tuples(st.just("extend"), _WHO, _NAME, _USD, st.none()),
    st.tuples(st.just("extend"), _WHO, _NAME, st.none(), _SECONDS),
    st.tuples(st.sampled_from(["stop", "terminate"]), _WHO, _NAME),
    st.tuples(st.just("resize"), _WHO, _NAME, _KIND),
    st.tuples(st.just("lose_laptop"), _WHO, _SECONDS),
    st.tuples(st.just("outage"), _OPERATIONS, st.booleans()),
    st.tuples(_NAME, _MISFORTUNE).map(lambda found: ("suffer", found[0], *found[1])),
)
_GAP = st.sampled_from([0, 1, 61]) | st.integers(0, 2400)
_HISTORY = st.lists(st.tuples(_GAP, _EVENT), max_size=9)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new ledger, to be copied: making one takes longer than a history."""
    home = tmp_path_factory.mktemp("empty")
    Ledger.open(home, FakeClock()).close()
    return home


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine here has a folder, or processes that could be in it."""
    for name in ("end_processes", "end_folder"):
        monkeypatch.setattr(f"cloudtrain.providers.memory.provider.{name}", lambda _: None)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="ct-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@settings(
    max_examples=HISTORIES,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(st.sampled_from(ENDS), st.none() | st.integers(10, 400).map(lambda cents: cents / 100), _LAUNCH, _HISTORY)
@example("cloud", None, ("launch", 0, 0, 0.16, 7200.0, 1, False), [])  # dollars buy whole minutes
@example("cloud", 0.2, ("launch", 0, 0, None, 60.0, 1, False), [(400, ("race", 0.15))])
@example(
    "cloud", None, ("launch", 0, 0, None, 662.0, 0, False), [(361, ("extend", 0, 0, 0.01, None))]
)  # the cloud moved it and the machine was not heard
@example("machine", None, ("launch", 0, 1, None, 60.0, 0, False), [(0, ("suffer", 1, "reboot", 61.0))])
@example(  # stopped unseen and started again
    "cloud",
    0.1,
    ("launch", 0, 0, None, 60.0, 0, True),
    [(0, ("race", 0.03)), (0, ("launch", 0, 1, None, 60.0, 1, False)), (0, ("launch", 0, 1, None, 187.0, 1, False))],
)
@example(  # an earlier order of a dearer machine, asked again for few dollars
    "both",
    None,
    ("launch", 0, 1, None, 1200.0, 0, False),
    [(0, ("outage", "launch", False)), (0, ("race_again", 1200.0)), (0, ("race", 0.09))],
)
def test_no_history_breaks_a_law(empty: Path, place: Path, ends, cap_usd, first, history) -> None:
    with a_world(empty, place, ends, cap_usd) as world:
        live(world, [(0, first), *history])


def test_dollars_that_extend_buy_whole_minutes(empty: Path, place: Path) -> None:
    with a_world(empty, place, "both", None, is_strict=True) as world:
        world.launch(0, 0, 1.0, 7200.0, 1, False)
        world.suffer(0, "busy", 7200.0)
        world.extend(0, 0, 0.01, None)
        assert world.models
        world.live(7200.0)


def test_a_machine_that_was_stopped_unseen_is_booked_when_it_is_started_again(empty: Path, place: Path) -> None:
    with a_world(empty, place, "both", 0.5, is_strict=True) as world:
        world.launch(0, 0, None, 600.0, 1, True)
        world.live(700.0)
        for _ in range(6):
            world.launch(0, 0, None, 600.0, 1, True)
            world.live(700.0)


def test_two_terminals_do_not_both_spend_the_rest_when_one_starts_a_stopped_machine(empty: Path, place: Path) -> None:
    with a_world(empty, place, "cloud", 2.0) as world:
        world.launch(0, 0, None, 600.0, 1, True)
        world.live(700.0)
        world.race_again(7200.0)
        world.live(7200.0)
        assert world.models


@contextmanager
def a_world(empty: Path, place: Path, ends: str, cap_usd: float | None, *, is_strict: bool = False) -> Iterator[World]:
    home = place / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(empty, home)
    world = World(home, ends, cap_usd, is_strict=is_strict)
    try:
        yield world
    finally:
        world.close()


def live(world: World, history) -> None:
    for gap_s, (verb, *arguments) in history:
        world.live(gap_s)
        getattr(world, verb)(*arguments)
        world.check()
    blind_s = max([0.0, *(model.blind_s for model in world.models.values() if model.blind_s < 1e9)])
    world.live(max([world.t, *(model.promised for model in world.models.values())]) - world.t + blind_s + 60)
    for model in world.models.values():
        assert not model.is_on or model.blind_s > 1e9, f"{model.id} never ends"
