"""The price list, the spot market, and a whole region's prices for the person's own copy."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudtrain.model.errors import PermissionDeniedError
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Market
from cloudtrain.prices.table import rows
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.price_list import price_list
from cloudtrain.providers.aws.pricing import beside_usd_per_hour, disk_usd_per_month, read_price_list, read_spot_prices
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.clock import FakeClock

from .conftest import REGION, Cloud
from .stand_in import StandIn, account_on, product

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_zero_is_no_price() -> None:
    assert read_price_list([product("p2.xlarge", 0.0), product("g5.xlarge", 1.006)]) == {"g5.xlarge": 1.006}


def test_the_dearest_of_several_prices_counts_and_blocks_of_capacity_do_not() -> None:
    listed = [product("p5.48xlarge", 55.0), product("p5.48xlarge", 56.0), product("p5.48xlarge", 54.0)]
    block = product("p5.48xlarge", 90.0, marketoption="CapacityBlock")
    assert read_price_list([*listed, block]) == {"p5.48xlarge": 56.0}


def test_a_price_in_another_currency_is_no_price() -> None:
    assert read_price_list([product("g5.xlarge", 1.0).replace("USD", "CNY")]) == {}


def test_the_latest_spot_price_of_a_zone_counts() -> None:
    def entry(usd: str, hours: int, zone: str = "us-east-1a") -> dict:
        at = NOON - timedelta(hours=hours)
        return {"InstanceType": "g5.xlarge", "AvailabilityZone": zone, "SpotPrice": usd, "Timestamp": at}

    found = read_spot_prices([entry("0.5", 3), entry("0.4", 1), entry("0.6", 2), entry("0.0", 1, "us-east-1b")])
    assert found == {("g5.xlarge", "us-east-1a"): 0.4}


def test_a_disk_and_an_address_cost_what_the_list_says() -> None:
    assert disk_usd_per_month(100) == pytest.approx(8.0)
    assert beside_usd_per_hour(100) == pytest.approx(8 / 730 + 0.005, abs=1e-6)


@pytest.fixture
def stand_in() -> StandIn:
    listed = {(REGION, name): 2.0 for name in ("g4dn.xlarge", "g5.xlarge", "g6f.large")}
    apart = {(REGION, "p4d.24xlarge"): 21.9, (REGION, "t3.large"): 0.09, ("eu-west-1", "g5.xlarge"): 9.0}
    zones = {("g5.xlarge", "us-east-1a"): 0.6, ("g5.xlarge", "us-east-1b"): 0.4, ("t3.large", "us-east-1a"): 0.03}
    return StandIn({**listed, **apart}, gpus={name for _, name in listed}, spot=zones)


@pytest.fixture
def account(cloud: Cloud, stand_in: StandIn, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.aws.url)
    return account_on(cloud, stand_in, ProviderSettings(tmp_path / "home", clock, rows))


def listed(account: Account) -> dict[tuple[str, Market], Offer]:
    return {(offer.instance_type, offer.market): offer for offer in price_list(account.settings, account.clients, REGION)}


def test_a_region_s_list_has_its_gpu_types_and_the_tables_others(account: Account, clock: FakeClock) -> None:
    found = listed(account)
    assert found["g5.xlarge", Market.ON_DEMAND].usd_per_hour == 2.0
    assert found["p4d.24xlarge", Market.ON_DEMAND].usd_per_hour == 21.9
    assert found["t3.large", Market.ON_DEMAND].usd_per_hour == 0.09
    assert found["g6.xlarge", Market.ON_DEMAND].usd_per_hour is None
    assert {offer.priced_on for offer in found.values()} == {clock.now().date()}
    assert {(offer.zone, offer.region, offer.provider) for offer in found.values()} == {("", REGION, "aws")}
    plain = {name for name, _ in found if not found[name, Market.ON_DEMAND].gpu}
    assert plain == {offer.instance_type for offer in rows("aws") if not offer.gpu}
    assert (found["g6f.large", Market.SPOT].gpu_count, found["g6f.large", Market.SPOT].gpu_memory_gib) == (0, 3.0)


def test_a_spot_price_in_the_list_is_that_of_the_dearest_zone(account: Account) -> None:
    found = listed(account)
    assert found["g5.xlarge", Market.SPOT].usd_per_hour == 0.6
    assert found["t3.large", Market.SPOT].usd_per_hour == 0.03
    assert found["g4dn.xlarge", Market.SPOT].usd_per_hour is None


def test_the_price_list_is_read_page_by_page(account: Account, cloud: Cloud, stand_in: StandIn) -> None:
    stand_in.page = 2
    assert listed(account)["g6f.large", Market.ON_DEMAND].usd_per_hour == 2.0
    assert Counter(cloud.named())["DescribeInstanceTypes"] == 1
    tokens = [sent for sent in cloud.sent("GetProducts") if "NextToken" in sent]
    assert [sent["NextToken"] for sent in tokens] == ["2"]


def test_a_list_that_is_refused_is_an_error(account: Account, cloud: Cloud) -> None:
    cloud.fail("DescribeInstanceTypes", "UnauthorizedOperation", times=9)
    with pytest.raises(PermissionDeniedError):
        price_list(account.settings, account.clients, REGION)
