"""The end of a machine is insisted on, and believed when it is seen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.model.errors import InstanceNotFoundError, ProviderUnavailableError, ShutdownError
from cloudtrain.model.event import Event, Note
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import MachineSpec, Resources
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.memory import DictStore, MemoryProvider
from cloudtrain.stages.shut_down import clear_beside, stop, terminate
from cloudtrain.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def provider(tmp_path: Path, clock: FakeClock) -> MemoryProvider:
    return MemoryProvider(ProviderSettings(tmp_path, clock, lambda _: (), None), DictStore())


@pytest.fixture
def running(provider: MemoryProvider, clock: FakeClock) -> Instance:
    offer = next(offer for offer in provider.offers(Resources()) if offer.instance_type == "mem.cpu")
    lease = Lease(clock.now() + timedelta(hours=1), 1.0)
    order = LaunchOrder("ct-1", MachineSpec("cloudy", "memory"), offer, lease, "me")
    launched = provider.launch(order)
    clock.sleep(60)
    return provider.get(launched.ref)


def nobody(event: Event) -> None:
    """Listen to nothing."""


def not_found() -> InstanceNotFoundError:
    return InstanceNotFoundError("there is no such machine")


def test_a_cloud_that_does_not_see_yet_what_it_is_to_stop_is_asked_again(
    provider: MemoryProvider, running: Instance, clock: FakeClock
) -> None:
    for _ in range(2):
        provider.fail_next("stop", not_found())
    assert stop(running, provider, clock, nobody).state is InstanceState.STOPPED


def test_one_that_shows_it_and_never_stops_it_may_bill(provider: MemoryProvider, running: Instance, clock: FakeClock) -> None:
    for _ in range(5):
        provider.fail_next("stop", not_found())
    with pytest.raises(ShutdownError, match="there is no such machine") as failed:
        stop(running, provider, clock, nobody)
    assert "cloudtrain stop cloudy" in failed.value.hint


def test_a_machine_that_is_gone_is_not_waited_for(provider: MemoryProvider, running: Instance, clock: FakeClock) -> None:
    gone = replace(running, ref=InstanceRef("memory", "mem-none"))
    began = clock.monotonic()
    with pytest.raises(InstanceNotFoundError):
        stop(gone, provider, clock, nobody)
    assert clock.monotonic() == began
    terminate(gone, provider, clock, nobody)  # what is absent has ended


@pytest.mark.parametrize("verb", [stop, terminate])
def test_a_cloud_that_stays_silent_is_asked_five_times(
    provider: MemoryProvider, running: Instance, clock: FakeClock, verb: Callable[..., object]
) -> None:
    for _ in range(5):
        provider.fail_next(verb.__name__, ProviderUnavailableError("away"))
    with pytest.raises(ShutdownError, match="away"):
        verb(running, provider, clock, nobody)
    provider.fail_next(verb.__name__, ProviderUnavailableError("away"))
    verb(running, provider, clock, nobody)
    assert not provider.get(running.ref).state.bills_compute


@pytest.mark.parametrize(("error", "said"), [(None, []), (ProviderUnavailableError("no answer"), ["no answer"])])
def test_what_was_made_beside_a_machine_that_is_gone_is_removed_or_told(
    provider: MemoryProvider, running: Instance, monkeypatch: pytest.MonkeyPatch, error: Exception | None, said: list[str]
) -> None:
    asked: list[InstanceRef] = []

    def terminate(ref: InstanceRef) -> None:
        asked.append(ref)
        if error is not None:
            raise error

    monkeypatch.setattr(provider, "terminate", terminate)
    told: list[Event] = []
    clear_beside(running.ref, provider, told.append)
    assert asked == [running.ref]
    assert [note.text.partition("(")[2].partition(")")[0] for note in told if isinstance(note, Note)] == said
    assert all("cloudtrain sweep" in note.text for note in told if isinstance(note, Note))
