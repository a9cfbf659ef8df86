"""The law for providers whose cloud lets no machine that runs live longer: all of it, and what holds of a deadline instead."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ..model.clock import Clock
from ..model.errors import ProviderError
from ..model.instance import InstanceRef, InstanceState, LaunchOrder
from ..model.lease import Lease
from ..providers.base import Pausable, Provider
from ..providers.waiting import wait_until
from .provider_contract import PATIENCE_S, ProviderContract


class KeptDeadlineContract(ProviderContract):
    """A later deadline is refused and the old one stands; an earlier one is kept, and may be moved back to the first."""

    def test_extend_moves_the_deadline(self, provider: Provider, clock: Clock, order: LaunchOrder) -> None:
        ref = _running(provider, clock, order)
        with pytest.raises(ProviderError):
            provider.extend(ref, _moved(order, timedelta(hours=1)))
        assert provider.get(ref).deadline == order.lease.deadline
        earlier = _moved(order, timedelta(minutes=-5))
        provider.extend(ref, earlier)
        assert provider.get(ref).deadline == earlier.deadline
        provider.extend(ref, order.lease)
        assert provider.get(ref).deadline == order.lease.deadline

    def test_start_of_a_running_machine_returns_it_with_the_new_lease(
        self, provider: Provider, clock: Clock, order: LaunchOrder
    ) -> None:
        if not isinstance(provider, Pausable):
            pytest.skip("this provider does not stop machines")
        ref = _running(provider, clock, order)
        with pytest.raises(ProviderError):
            provider.start(ref, _moved(order, timedelta(hours=1)))
        assert provider.get(ref).deadline == order.lease.deadline
        earlier = _moved(order, timedelta(minutes=-5))
        started = provider.start(ref, earlier)
        assert (started.ref, started.state) == (ref, InstanceState.RUNNING)
        assert started.deadline == provider.get(ref).deadline == earlier.deadline


def _running(provider: Provider, clock: Clock, order: LaunchOrder) -> InstanceRef:
    seen = wait_until(provider, provider.launch(order).ref, (InstanceState.RUNNING,), clock, PATIENCE_S)
    assert seen is not None
    assert seen.state is InstanceState.RUNNING
    return seen.ref


def _moved(order: LaunchOrder, by: timedelta) -> Lease:
    return replace(order.lease, deadline=order.lease.deadline + by)
