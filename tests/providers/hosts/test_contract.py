"""The law, kept by real machines behind real SSH servers."""

from collections.abc import Callable

import pytest

from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.offer import Offer
from cloudtrain.providers.base import Pausable
from cloudtrain.providers.hosts.provider import HostsProvider
from cloudtrain.testing.provider_contract import ProviderContract

from .conftest import Box


class TestContract(ProviderContract):
    @pytest.fixture
    def provider(self, free: tuple[Box, Box], make_provider: Callable[..., HostsProvider]) -> HostsProvider:
        return make_provider(*(box.host for box in free))

    @pytest.fixture
    def order(self, offers: tuple[Offer, Offer], make_order: Callable[..., LaunchOrder]) -> LaunchOrder:
        return make_order(offers[0])

    @pytest.fixture
    def second_offer(self, offers: tuple[Offer, Offer]) -> Offer:
        return offers[1]

    def test_it_claims_to_pause_nothing(self, provider: HostsProvider) -> None:
        assert not isinstance(provider, Pausable)
