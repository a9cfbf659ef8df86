"""The law for sources of offers: what `OfferSource` in `providers/base.py` promises, as tests.

A subclass needs the fixture `provider` alone.
"""

import pytest

from ..model.spec import Resources
from ..providers.base import OfferSource


class OfferSourceContract:
    """What every source of offers keeps to."""

    def test_is_an_offer_source_with_a_name(self, provider: OfferSource) -> None:
        assert isinstance(provider, OfferSource)
        assert provider.name == provider.name.lower().strip() != ""

    def test_check_finds_something_and_says_what_to_type_when_it_is_not_well(self, provider: OfferSource) -> None:
        findings = provider.check()
        assert findings
        assert [finding for finding in findings if not (finding.subject and finding.message)] == []
        assert [finding.subject for finding in findings if not finding.ok and not finding.hint] == []

    def test_offers_something(self, provider: OfferSource) -> None:
        assert provider.offers(Resources())

    def test_offers_are_its_own_and_name_a_place(self, provider: OfferSource) -> None:
        offers = provider.offers(Resources())
        assert {offer.provider for offer in offers} == {provider.name}
        assert all(offer.instance_type and offer.region and offer.source for offer in offers)

    @pytest.mark.parametrize("need", [Resources(cpus=2), Resources(memory_gb=8), Resources(gpus=1, gpu_memory_gb=16)])
    def test_offers_satisfy_the_need_and_leave_none_out(self, provider: OfferSource, need: Resources) -> None:
        expected = [offer for offer in provider.offers(Resources()) if offer.satisfies(need)]
        assert sorted(provider.offers(need), key=repr) == sorted(expected, key=repr)

    def test_offers_nothing_for_an_impossible_need(self, provider: OfferSource) -> None:
        assert list(provider.offers(Resources(gpus=10_000))) == []

    def test_a_price_is_dated_or_unknown_and_zero_only_without_a_meter(self, provider: OfferSource) -> None:
        for offer in provider.offers(Resources()):
            if offer.usd_per_hour == 0.0:
                assert (offer.source, offer.priced_on) == ("none", None)
            elif offer.usd_per_hour is not None:
                assert offer.usd_per_hour > 0
                assert offer.priced_on is not None
