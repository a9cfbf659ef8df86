"""The law for providers: what `providers/base.py` promises, as tests. Runs against any of them, ours or yours.

Write a subclass whose name begins with `Test` and give it three fixtures::

    class TestMine(ProviderContract):
        @pytest.fixture
        def clock(self): ...      # a model.clock.Clock; a FakeClock where the provider takes one
        @pytest.fixture
        def provider(self, clock): ...
        @pytest.fixture
        def order(self, clock): ...   # a LaunchOrder the provider can fill, its lease long enough for the test

A source of prices alone is held to `OfferSourceContract` of `offer_contract.py`. Whatever a test launched is
terminated when it ends, so that the suite can be run on a real account.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from ..model.clock import Clock
from ..model.errors import InstanceNotFoundError, ProviderError
from ..model.instance import Instance, InstanceRef, InstanceState, LaunchOrder, Leftover
from ..model.lease import Lease
from ..model.offer import Offer
from ..model.spec import Resources
from ..providers.base import Foreseeing, Pausable, Provider, Resizable
from ..providers.waiting import wait_until
from .offer_contract import OfferSourceContract

PATIENCE_S = 900.0
"""How long a real cloud may take for one step, in seconds."""

CLOCK_SLACK = timedelta(minutes=1)
"""Clouds round deadlines to the minute."""


class ProviderContract(OfferSourceContract):
    """What everything that rents machines keeps to."""

    @pytest.fixture(autouse=True)
    def _end_what_was_launched(self, provider: Provider, order: LaunchOrder) -> Iterator[None]:
        yield
        for instance in provider.list_owned():
            if instance.token in (order.token, _second(order).token):
                provider.terminate(instance.ref)

    @pytest.fixture
    def second_offer(self, order: LaunchOrder) -> Offer:
        """Return what a second machine is ordered by: the same offer again, but where an offer is one certain machine."""
        return order.offer

    def test_is_a_provider(self, provider: Provider) -> None:
        assert isinstance(provider, Provider)

    def test_a_launched_machine_carries_name_token_owner_and_deadline(self, provider: Provider, order: LaunchOrder) -> None:
        launched = provider.launch(order)
        assert launched.ref.provider == provider.name
        assert launched.ref.id
        assert launched.state in (InstanceState.PENDING, InstanceState.RUNNING)
        _carries(launched, order)

    def test_a_launched_machine_comes_to_run_with_an_endpoint(
        self, provider: Provider, clock: Clock, order: LaunchOrder
    ) -> None:
        seen = _running(provider, clock, order)
        assert seen.endpoint is not None
        assert seen.address
        assert seen.launched_at is not None
        assert seen.usd_per_hour == pytest.approx(order.offer.usd_per_hour)
        _carries(seen, order)

    def test_launch_is_idempotent_by_token(self, provider: Provider, clock: Clock, order: LaunchOrder) -> None:
        first = provider.launch(order)
        assert provider.launch(order).ref == first.ref
        _reach(provider, clock, first.ref, InstanceState.RUNNING)
        assert provider.launch(order).ref == first.ref
        assert [instance.ref for instance in provider.list_owned() if instance.token == order.token] == [first.ref]

    def test_two_orders_make_two_machines(self, provider: Provider, order: LaunchOrder, second_offer: Offer) -> None:
        first, second = provider.launch(order), provider.launch(replace(_second(order), offer=second_offer))
        assert first.ref.id != second.ref.id
        assert {first.ref, second.ref} <= {instance.ref for instance in provider.list_owned()}

    def test_a_refused_launch_leaves_nothing(self, provider: Provider, order: LaunchOrder) -> None:
        with pytest.raises(ProviderError):
            provider.launch(replace(order, offer=replace(order.offer, instance_type="no-such-type")))
        assert _owned(provider, order) is None
        assert list(provider.leftovers()) == []

    def test_get_of_an_unknown_machine_says_so(self, provider: Provider, clock: Clock, order: LaunchOrder) -> None:
        with pytest.raises(InstanceNotFoundError):
            provider.get(_unknown(_running(provider, clock, order).ref))

    def test_list_owned_has_a_machine_until_it_is_terminated(
        self, provider: Provider, clock: Clock, order: LaunchOrder
    ) -> None:
        launched = _running(provider, clock, order)
        listed = _owned(provider, order)
        assert listed is not None
        assert listed.ref == launched.ref
        _carries(listed, order)
        _end(provider, clock, launched.ref)
        assert _owned(provider, order) is None

    def test_terminate_twice_and_of_an_unknown_machine_is_a_success(
        self, provider: Provider, clock: Clock, order: LaunchOrder
    ) -> None:
        ref = _running(provider, clock, order).ref
        _end(provider, clock, ref)
        provider.terminate(ref)
        provider.terminate(_unknown(ref))
        assert _owned(provider, order) is None

    def test_terminate_of_an_unknown_machine_leaves_the_others(
        self, provider: Provider, clock: Clock, order: LaunchOrder
    ) -> None:
        ref = _running(provider, clock, order).ref
        provider.terminate(_unknown(ref))
        assert provider.get(ref).state is InstanceState.RUNNING

    def test_terminate_leaves_nothing_that_costs(self, provider: Provider, clock: Clock, order: LaunchOrder) -> None:
        _end(provider, clock, _running(provider, clock, order).ref)
        assert list(provider.leftovers()) == []

    def test_extend_moves_the_deadline(self, provider: Provider, clock: Clock, order: LaunchOrder) -> None:
        ref = _running(provider, clock, order).ref
        later = _longer(order)
        provider.extend(ref, later)
        _is_armed(provider.get(ref), later)

    def test_extend_of_an_unknown_machine_says_so(self, provider: Provider, clock: Clock, order: LaunchOrder) -> None:
        ref = _running(provider, clock, order).ref
        with pytest.raises(InstanceNotFoundError):
            provider.extend(_unknown(ref), _longer(order))

    def test_a_stopped_machine_bills_no_compute_and_keeps_its_identity(
        self, provider: Provider, clock: Clock, order: LaunchOrder
    ) -> None:
        pausable, launched = _pausable(provider), _running(provider, clock, order)
        pausable.stop(launched.ref)
        stopped = _reach(provider, clock, launched.ref, InstanceState.STOPPED)
        assert not stopped.state.bills_compute
        assert (stopped.ref, stopped.name, stopped.owner) == (launched.ref, launched.name, launched.owner)
        assert (stopped.endpoint, stopped.address) == (None, "")  # nothing answers there, whatever is reserved for it
        assert _owned(provider, order) is not None
        pausable.stop(launched.ref)
        assert provider.get(launched.ref).state is InstanceState.STOPPED

    def test_a_started_machine_is_the_same_one_under_the_new_lease(
        self, provider: Provider, clock: Clock, order: LaunchOrder
    ) -> None:
        pausable, launched = _pausable(provider), _running(provider, clock, order)
        pausable.stop(launched.ref)
        _reach(provider, clock, launched.ref, InstanceState.STOPPED)
        lease = _longer(order)
        _is_armed(pausable.start(launched.ref, lease), lease)
        started = _reach(provider, clock, launched.ref, InstanceState.RUNNING)
        assert (started.ref, started.name, started.token) == (launched.ref, launched.name, launched.token)
        assert started.endpoint is not None
        _is_armed(started, lease)

    def test_start_of_a_running_machine_returns_it_with_the_new_lease(
        self, provider: Provider, clock: Clock, order: LaunchOrder
    ) -> None:
        pausable, launched, lease = _pausable(provider), _running(provider, clock, order), _longer(order)
        started = pausable.start(launched.ref, lease)
        assert (started.ref, started.state) == (launched.ref, InstanceState.RUNNING)
        _is_armed(started, lease)
        _is_armed(provider.get(launched.ref), lease)

    def test_stop_and_start_of_an_unknown_machine_say_so(self, provider: Provider, clock: Clock, order: LaunchOrder) -> None:
        pausable, unknown = _pausable(provider), _unknown(_running(provider, clock, order).ref)
        with pytest.raises(InstanceNotFoundError):
            pausable.stop(unknown)
        with pytest.raises(InstanceNotFoundError):
            pausable.start(unknown, order.lease)

    def test_a_terminated_machine_cannot_be_started(self, provider: Provider, clock: Clock, order: LaunchOrder) -> None:
        pausable, ref = _pausable(provider), _running(provider, clock, order).ref
        _end(provider, clock, ref)
        with pytest.raises(ProviderError):
            pausable.start(ref, order.lease)
        assert _owned(provider, order) is None

    def test_a_stopped_machine_takes_another_type_and_a_running_one_does_not(
        self, provider: Provider, clock: Clock, order: LaunchOrder
    ) -> None:
        pausable, resizable, launched = _pausable(provider), _resizable(provider), _running(provider, clock, order)
        other = _other_type(provider, order)
        with pytest.raises(ProviderError):
            resizable.resize(launched.ref, other)
        pausable.stop(launched.ref)
        _reach(provider, clock, launched.ref, InstanceState.STOPPED)
        resizable.resize(launched.ref, other)
        resizable.resize(launched.ref, other)
        seen = provider.get(launched.ref)
        assert (seen.instance_type, seen.state) == (other.instance_type, InstanceState.STOPPED)
        assert seen.usd_per_hour == pytest.approx(other.usd_per_hour)

    def test_resize_of_an_unknown_machine_says_so(self, provider: Provider, clock: Clock, order: LaunchOrder) -> None:
        resizable, unknown = _resizable(provider), _unknown(_running(provider, clock, order).ref)
        with pytest.raises(InstanceNotFoundError):
            resizable.resize(unknown, order.offer)

    def test_an_outlook_has_an_image_and_a_disk(self, provider: Provider, order: LaunchOrder) -> None:
        if not isinstance(provider, Foreseeing):
            pytest.skip(f"{provider.name} cannot say what a launch would make")
        outlook = provider.outlook(order.machine, order.offer)
        assert outlook.image
        assert outlook.disk_gb >= (order.disk_gb or 1)
        assert outlook.usd_per_month_stopped >= 0

    def test_removing_what_is_not_there_is_a_success(self, provider: Provider) -> None:
        provider.remove(Leftover(provider.name, "group", "no-such-thing", region="us-east-1"))


def _running(provider: Provider, clock: Clock, order: LaunchOrder) -> Instance:
    return _reach(provider, clock, provider.launch(order).ref, InstanceState.RUNNING)


def _reach(provider: Provider, clock: Clock, ref: InstanceRef, state: InstanceState) -> Instance:
    seen = wait_until(provider, ref, (state, InstanceState.TERMINATED), clock, PATIENCE_S)
    assert seen is not None, f"{ref.id} is gone instead of {state}"
    assert seen.state is state
    return seen


def _end(provider: Provider, clock: Clock, ref: InstanceRef) -> None:
    provider.terminate(ref)
    seen = wait_until(provider, ref, (InstanceState.TERMINATED,), clock, PATIENCE_S)
    assert seen is None or seen.state is InstanceState.TERMINATED
    provider.terminate(ref)  # as the stage does: what is let go of only when the machine is gone


def _carries(instance: Instance, order: LaunchOrder) -> None:
    assert (instance.name, instance.token, instance.owner) == (order.machine.name, order.token, order.owner)
    assert instance.instance_type == order.offer.instance_type
    _is_armed(instance, order.lease)


def _is_armed(instance: Instance, lease: Lease) -> None:
    assert instance.deadline is not None
    assert abs(instance.deadline - lease.deadline) <= CLOCK_SLACK


def _owned(provider: Provider, order: LaunchOrder) -> Instance | None:
    return next((instance for instance in provider.list_owned() if instance.token == order.token), None)


def _second(order: LaunchOrder) -> LaunchOrder:
    return replace(order, token=f"{order.token[:62]}-2", machine=replace(order.machine, name=f"{order.machine.name}-2"))


def _longer(order: LaunchOrder) -> Lease:
    return replace(order.lease, deadline=order.lease.deadline + timedelta(hours=1))


def _unknown(ref: InstanceRef) -> InstanceRef:
    """Return a reference of the right form to a machine that does not exist: the id's last digit is another one."""
    return replace(ref, id=ref.id[:-1] + ("0" if ref.id[-1] != "0" else "1"))


def _pausable(provider: Provider) -> Pausable:
    if not isinstance(provider, Pausable):
        pytest.skip(f"{provider.name} cannot stop a machine and keep its disk")
    return provider


def _resizable(provider: Provider) -> Resizable:
    if not isinstance(provider, Resizable):
        pytest.skip(f"{provider.name} cannot change a machine's type")
    return provider


def _other_type(provider: Provider, order: LaunchOrder) -> Offer:
    """Return an offer of another type where the order's machine is."""
    return next(
        offer
        for offer in provider.offers(Resources())
        if (offer.region, offer.market) == (order.offer.region, order.offer.market)
        and offer.zone in ("", order.offer.zone)
        and offer.instance_type != order.offer.instance_type
    )
