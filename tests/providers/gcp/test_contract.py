"""The law for providers, kept by the Google Cloud adapter on the pretend Google Cloud."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cloudtrain.model.clock import Clock
from cloudtrain.model.errors import ProviderError
from cloudtrain.model.instance import InstanceRef, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.providers.base import Provider
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.providers.waiting import wait_until
from cloudtrain.testing.provider_contract import ProviderContract


class TestGcp(ProviderContract):
    """All of it but for one thing: Google lets no machine that runs live longer, and then its deadline stands as it was."""

    def test_extend_moves_the_deadline(self, provider: Provider, clock: Clock, order: LaunchOrder) -> None:
        ref = running(provider, clock, order)
        with pytest.raises(ProviderError, match="Google moves the end of a stopped machine only"):
            provider.extend(ref, moved(order, 1))
        assert provider.get(ref).deadline == order.lease.deadline
        provider.extend(ref, moved(order, -1))
        assert provider.get(ref).deadline == moved(order, -1).deadline
        provider.extend(ref, order.lease)
        assert provider.get(ref).deadline == order.lease.deadline

    def test_start_of_a_running_machine_returns_it_with_the_new_lease(
        self, provider: GcpProvider, clock: Clock, order: LaunchOrder
    ) -> None:
        ref = running(provider, clock, order)
        with pytest.raises(ProviderError, match="Google moves the end of a stopped machine only"):
            provider.start(ref, moved(order, 1))
        started = provider.start(ref, moved(order, -1))
        assert (started.ref, started.state) == (ref, InstanceState.RUNNING)
        assert started.deadline == provider.get(ref).deadline == moved(order, -1).deadline


def running(provider: Provider, clock: Clock, order: LaunchOrder) -> InstanceRef:
    seen = wait_until(provider, provider.launch(order).ref, (InstanceState.RUNNING,), clock, 600)
    assert seen is not None
    assert seen.state is InstanceState.RUNNING
    return seen.ref


def moved(order: LaunchOrder, hours: float) -> Lease:
    return replace(order.lease, deadline=order.lease.deadline + timedelta(hours=hours))
