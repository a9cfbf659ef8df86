"""Azure's public list of prices: what is read of it, and what a machine costs beside compute."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtrain.model.errors import ProviderUnavailableError
from cloudtrain.model.spec import Market
from cloudtrain.providers.azure import retail_prices
from cloudtrain.providers.azure.retail_prices import (
    beside_usd_per_hour,
    disk_usd_per_month,
    is_priced,
    read_prices,
    region_prices,
    stopped_usd_per_month,
)

from .price_server import PriceServer, row, serving

T4 = "Standard_NC4as_T4_v3"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceServer]:
    monkeypatch.setattr(retail_prices, "PAUSE_S", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        monkeypatch.setenv("CLOUDTRAIN_AZURE_PRICES_URL", server.url)
        yield server


def test_both_markets_are_read() -> None:
    rows = [row(T4, 0.526), row(T4, 0.149174, meter="NC4as T4 v3 Spot")]
    assert read_prices(rows, "eastus") == {(T4, Market.ON_DEMAND): 0.526, (T4, Market.SPOT): 0.149174}


@pytest.mark.parametrize(
    "other",
    [
        row(T4, 9.0, product="Virtual Machines NCasT4 v3 Series Windows"),
        row(T4, 9.0, product="NCasT4 v3 Series Dedicated Host"),
        row(T4, 9.0, product="Dv3 Series Cloud Services"),
        row(T4, 9.0, product="Dv3 Series CloudServices"),
        row(T4, 9.0, meter="NC4as T4 v3 Low Priority"),
        row(T4, 9.0, meter="NC4as T4 v3 Expired"),
        row(T4, 9.0, type="Reservation"),
        row(T4, 9.0, type="DevTestConsumption"),
        row(T4, 9.0, unitOfMeasure="1 Month"),
        row(T4, 9.0, currencyCode="EUR"),
        row(T4, 9.0, region="westeurope"),
        row("", 9.0),
    ],
)
def test_what_is_no_price_of_an_hour_of_linux_there_is_left_out(other: dict) -> None:
    assert read_prices([other, row(T4, 0.526)], "eastus") == {(T4, Market.ON_DEMAND): 0.526}


@pytest.mark.parametrize("usd", [0, 0.0, None])
def test_zero_is_no_price(usd: float | None) -> None:
    assert read_prices([row(T4, usd)], "eastus") == {}


def test_of_two_prices_the_higher_one_counts() -> None:
    assert read_prices([row(T4, 0.5), row(T4, 0.6), row(T4, 0.4)], "eastus") == {(T4, Market.ON_DEMAND): 0.6}


def test_a_region_is_asked_for_page_by_page(server: PriceServer) -> None:
    server.rows, server.per_page = [row(f"Standard_D{n}s_v5", n) for n in range(1, 8)], 3
    assert len(region_prices("eastus")) == 7
    first, *others = server.asked
    assert first["api-version"] == "2023-01-01-preview"
    assert "armRegionName eq 'eastus'" in first["$filter"]
    assert "serviceName eq 'Virtual Machines'" in first["$filter"]
    assert "armSkuName" not in first["$filter"]
    assert [each["$skip"] for each in others] == ["3", "6"]


def test_named_sizes_are_asked_for_together_and_fifteen_at_most(server: PriceServer) -> None:
    names = [f"Standard_D{n}s_v5" for n in range(20)]
    server.rows = [row(name, 1.0) for name in names]
    assert len(region_prices("eastus", names)) == 20
    assert [each["$filter"].count("armSkuName eq") for each in server.asked] == [15, 5]
    assert "(armSkuName eq 'Standard_D0s_v5' or armSkuName eq" in server.asked[0]["$filter"]


def test_a_list_that_is_asked_too_often_is_asked_again(server: PriceServer) -> None:
    server.rows, server.statuses = [row(T4, 0.526)], [429, 503]
    assert region_prices("eastus") == {(T4, Market.ON_DEMAND): 0.526}
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [429, 400, 302])
def test_a_list_that_refuses_is_said(server: PriceServer, status: int) -> None:
    server.statuses = [status] * 9
    with pytest.raises(ProviderUnavailableError, match="Azure's prices"):
        region_prices("eastus")
    assert len(server.asked) == (3 if status == 429 else 1)


@pytest.mark.parametrize("body", [b"<html>welcome to the hotel</html>", b"[]", b""])
def test_a_captive_portal_is_no_list(server: PriceServer, body: bytes) -> None:
    server.body = body
    with pytest.raises(ProviderUnavailableError, match="Azure's prices"):
        region_prices("eastus")


def test_a_list_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retail_prices, "PAUSE_S", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("CLOUDTRAIN_AZURE_PRICES_URL", "http://127.0.0.1:9/prices")
    with pytest.raises(ProviderUnavailableError, match="cannot be read") as raised:
        region_prices("eastus")
    assert raised.value.hint


def test_the_list_does_not_go_on_at_another_place(server: PriceServer) -> None:
    server.rows, server.per_page, server.next_origin = [row(T4, 1.0), row(T4, 2.0)], 1, "http://127.0.0.1:9"
    with pytest.raises(ProviderUnavailableError, match="another place"):
        region_prices("eastus")


def test_nobody_s_login_is_sent(server: PriceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login alice password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    region_prices("eastus")
    assert [each["Authorization"] for each in server.asked] == [""]


def test_the_list_speaks_for_the_public_cloud_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDTRAIN_AZURE_PRICES_URL", raising=False)
    assert is_priced("https://management.azure.com")
    assert not is_priced("https://management.usgovcloudapi.net")
    monkeypatch.setenv("CLOUDTRAIN_AZURE_PRICES_URL", "http://127.0.0.1:9/prices")
    assert is_priced("https://127.0.0.1:8443")


@pytest.mark.parametrize(
    ("gib", "usd"), [(30, 2.40), (32, 2.40), (64, 4.80), (100, 9.60), (128, 9.60), (200, 19.20), (1024, 76.80)]
)
def test_a_disk_costs_what_its_tier_does(gib: int, usd: float) -> None:
    assert disk_usd_per_month(gib) == usd


def test_a_deallocated_machine_goes_on_costing_its_disk_and_its_address() -> None:
    assert stopped_usd_per_month(100) == pytest.approx(9.60 + 3.65)
    assert beside_usd_per_hour(100) == pytest.approx(9.60 / 730 + 0.005, abs=1e-6)
