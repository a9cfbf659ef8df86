"""What Azure offers: live where it may be asked, the dated table everywhere else."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.model.errors import NotSetUpError, ProviderError, ProviderUnavailableError
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, Market, Resources
from cloudtrain.prices.table import rows
from cloudtrain.providers import extras
from cloudtrain.providers.azure import catalog, retail_prices
from cloudtrain.providers.azure.arm import Arm
from cloudtrain.providers.azure.endpoints import Endpoints
from cloudtrain.providers.azure.price_list import price_list
from cloudtrain.providers.azure.retail_prices import beside_usd_per_hour
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.clock import FakeClock

from .answers import GPU, T4_FAMILY, Answers, denied, log_in, log_out, shut, sku
from .conftest import Cloud
from .price_server import PriceServer, row, serving

SKUS = "Microsoft.Compute/skus/read"
EAST, WEST = "eastus", "westeurope"
T4, T4_TWICE, B2S = "Standard_NC4as_T4_v3", "Standard_NC8as_T4_v3", "Standard_B2s"
MARKET = (
    sku(T4, 4, 28, T4_FAMILY, "1", "2", capabilities=GPU),
    sku(T4_TWICE, 8, 56, T4_FAMILY, "2", capabilities={**GPU, "LowPriorityCapable": "False"}),
    sku("Standard_NV18ads_A10_v5", 18, 220, "StandardNVADSA10v5Family", capabilities=GPU),
    sku("Standard_NC40ads_H100_v5", 40, 320, "StandardNCadsH100v5Family", capabilities=GPU, restrictions=[shut()]),
    sku("Standard_NC6s_v3", 6, 112, "standardNCSv3Family", capabilities=GPU),
    sku(B2S, 2, 4, "standardBSFamily", "1"),
    sku(T4, 4, 28, T4_FAMILY, "1", region=WEST, capabilities=GPU),
)
PRICES = (
    row(T4, 0.5),
    row(T4, 0.1, meter="NC4as T4 v3 Spot"),
    row(T4_TWICE, 0.7),
    row(B2S, 0.04),
    row("Standard_NC6s_v3", 3.06),
    row(T4, 0.6, region=WEST),
)

Ask = Callable[..., list[Offer]]


def of_the_region(path: str, query: Mapping[str, str]) -> dict[str, Any]:
    """List what the filter names, as Azure does."""
    region = query["$filter"].removeprefix("location eq '").removesuffix("'")
    return {"value": [each for each in MARKET if each["locations"] == [region]]}


@pytest.fixture
def arm() -> Answers:
    return Answers({SKUS: of_the_region})


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PriceServer]:
    log_in(monkeypatch, tmp_path)
    monkeypatch.setattr(retail_prices, "PAUSE_S", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        server.rows = list(PRICES)
        monkeypatch.setenv("CLOUDTRAIN_AZURE_PRICES_URL", server.url)
        yield server


@pytest.fixture
def machine() -> MachineSpec:
    return MachineSpec("azure-t4", "azure", regions=(EAST,), instance_types=(T4, T4_TWICE), disk_gb=100)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def settings(clock: FakeClock, tmp_path: Path, prices: PriceServer, said: list[str]) -> Callable[..., ProviderSettings]:
    def make(machine: MachineSpec | None, table: Callable = rows) -> ProviderSettings:
        return ProviderSettings(tmp_path / "home", clock, table, machine, say=said.append)

    return make


@pytest.fixture
def ask(settings: Callable[..., ProviderSettings], arm: Answers) -> Ask:
    """Return what is offered, without the table's offers of what the machine config does not name."""

    def offers(machine: MachineSpec, need: Resources | None = None, table: Callable = rows) -> list[Offer]:
        found = catalog.offers(settings(machine, table), arm, need or Resources())
        return [offer for offer in found if offer.named_by(machine)]

    return offers


def dated(clock: FakeClock, days: int) -> Callable[[str], list[Offer]]:
    day = clock.now().date() - timedelta(days=days)
    return lambda name: [replace(offer, priced_on=day) for offer in rows(name)]


def test_each_zone_that_may_have_a_size_is_an_offer_with_the_price_of_today(
    ask: Ask, machine: MachineSpec, clock: FakeClock
) -> None:
    found = ask(machine)
    assert {(o.instance_type, o.zone, o.usd_per_hour) for o in found} == {
        (T4, "eastus-1", 0.5),
        (T4, "eastus-2", 0.5),
        (T4_TWICE, "eastus-2", 0.7),
    }
    assert {(o.source, o.priced_on) for o in found} == {("api", clock.now().date())}


def test_one_region_costs_two_questions_at_once(ask: Ask, machine: MachineSpec, arm: Answers, prices: PriceServer) -> None:
    ask(machine)
    assert arm.named() == [SKUS]
    assert len(prices.asked) == 1
    assert f"(armSkuName eq '{T4}' or armSkuName eq '{T4_TWICE}')" in prices.asked[0]["$filter"]


def test_every_region_wanted_is_asked(ask: Ask, machine: MachineSpec, arm: Answers) -> None:
    found = ask(replace(machine, regions=(EAST, WEST)))
    assert {(o.region, o.instance_type, o.usd_per_hour) for o in found} == {
        (EAST, T4, 0.5),
        (EAST, T4_TWICE, 0.7),
        (WEST, T4, 0.6),
    }
    assert arm.named() == [SKUS] * 2


def test_a_size_without_spot_machines_has_no_spot_offer(ask: Ask, machine: MachineSpec) -> None:
    found = ask(replace(machine, market=Market.SPOT))
    assert {(o.instance_type, o.zone, o.usd_per_hour) for o in found} == {(T4, "eastus-1", 0.1), (T4, "eastus-2", 0.1)}


def test_what_is_closed_to_the_subscription_is_not_offered_though_the_table_prices_it(ask: Ask, machine: MachineSpec) -> None:
    h100 = "Standard_NC40ads_H100_v5"
    assert any(o.instance_type == h100 and o.region == EAST for o in rows("azure"))
    assert ask(replace(machine, instance_types=(h100,))) == []


def test_retired_series_are_never_offered(ask: Ask, machine: MachineSpec, settings, arm: Answers) -> None:
    retired = [replace(rows("azure")[0], instance_type=f"Standard_{name}") for name in ("NC6s_v3", "NV4as_v4", "NV12s_v3")]
    everything = replace(machine, instance_types=())
    names = {o.instance_type for o in ask(everything, table=lambda name: [*rows(name), *retired])}
    assert T4 in names
    assert not names & {o.instance_type for o in retired}
    from_table = catalog.offers(settings(None, lambda name: retired), arm, Resources())
    assert from_table == ()


def test_a_fresh_price_of_the_table_is_taken_and_nobody_is_asked(
    ask: Ask, machine: MachineSpec, clock: FakeClock, prices: PriceServer
) -> None:
    found = ask(machine, table=dated(clock, 6))
    assert {(o.instance_type, o.usd_per_hour, o.source) for o in found} == {(T4, 0.526, "table"), (T4_TWICE, 0.752, "table")}
    assert prices.asked == []
    assert {o.usd_per_hour for o in ask(machine, table=dated(clock, 8))} == {0.5, 0.7}
    assert len(prices.asked) == 1


def test_prices_that_cannot_be_asked_are_the_table_s_with_their_date(
    ask: Ask, machine: MachineSpec, prices: PriceServer
) -> None:
    prices.statuses = [500]
    found = ask(machine)
    assert {o.zone for o in found} == {"eastus-1", "eastus-2"}
    listed = {o.instance_type: o for o in rows("azure") if o.region == EAST and o.market is Market.ON_DEMAND}
    assert all((o.usd_per_hour, o.priced_on) == (listed[o.instance_type].usd_per_hour, listed[T4].priced_on) for o in found)


def test_a_size_nobody_has_a_price_of_is_unknown_and_not_free(ask: Ask, machine: MachineSpec) -> None:
    [a10] = ask(replace(machine, instance_types=("Standard_NV18ads_A10_v5",)), table=lambda name: [])
    assert (a10.usd_per_hour, a10.priced_on, a10.gpu_count, a10.gpu_memory_gib, a10.zone) == (None, None, 0, 12.0, "")


def test_a_region_that_does_not_answer_is_the_table_s_and_that_is_said(
    ask: Ask, machine: MachineSpec, arm: Answers, said: list[str]
) -> None:
    def one_is_silent(path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        if WEST in query["$filter"]:
            raise ProviderUnavailableError("no answer", "look")
        return of_the_region(path, query)

    arm.by_act[SKUS] = one_is_silent
    found = ask(replace(machine, regions=(EAST, WEST)))
    assert {(o.region, o.source) for o in found} == {(EAST, "api"), (WEST, "table")}
    assert {o.zone for o in found if o.region == WEST} == {""}
    assert said == [f"What {WEST} has is taken from the dated table, since Azure does not say: no answer\nlook"]


def test_a_subscription_that_may_not_look_has_the_table(ask: Ask, machine: MachineSpec, arm: Answers, said: list[str]) -> None:
    arm.by_act[SKUS] = denied(SKUS)
    assert {(o.instance_type, o.source) for o in ask(replace(machine, regions=(EAST, WEST)))} == {
        (T4, "table"),
        (T4_TWICE, "table"),
    }
    [sentence] = said
    assert sentence.startswith(f"What {EAST} and {WEST} has is taken from the dated table")


def test_without_types_all_sizes_are_looked_at(ask: Ask, machine: MachineSpec, prices: PriceServer) -> None:
    everything = replace(machine, instance_types=())
    assert {o.instance_type for o in ask(everything)} == {T4, T4_TWICE, B2S, "Standard_NV18ads_A10_v5"}
    assert "armSkuName" not in prices.asked[0]["$filter"]
    assert {o.instance_type for o in ask(everything, Resources(gpus=1, gpu="t4", cpus=8))} == {T4_TWICE}
    assert {o.instance_type for o in ask(everything, Resources(cpus=2, memory_gb=4)) if not o.gpu} == {B2S}


def test_a_config_without_regions_means_the_cli_s_one(
    ask: Ask, machine: MachineSpec, arm: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    anywhere = replace(machine, regions=())
    assert {o.region for o in ask(anywhere) if o.source == "api"} == {EAST}
    monkeypatch.setenv("AZURE_DEFAULTS_LOCATION", WEST)
    assert {o.region for o in ask(anywhere) if o.source == "api"} == {WEST}


def test_another_cloud_s_prices_are_in_no_list(
    ask: Ask, machine: MachineSpec, arm: Answers, prices: PriceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDTRAIN_AZURE_PRICES_URL")
    arm.endpoints = Endpoints("https://login.example", "https://management.example", "https://portal.example")
    assert {o.source for o in ask(machine)} == {"table"}
    assert prices.asked == []


def test_without_config_login_or_libraries_nobody_is_asked(
    settings, arm: Answers, machine: MachineSpec, prices: PriceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert catalog.offers(settings(None), arm, Resources(gpus=1))
    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    assert {o.source for o in catalog.offers(settings(machine), arm, Resources())} == {"table"}
    monkeypatch.undo()
    log_out(monkeypatch, tmp_path)
    assert {o.source for o in catalog.offers(settings(machine), arm, Resources())} == {"table"}
    assert (arm.asked, prices.asked) == ([], [])


def test_disk_and_address_are_paid_beside(ask: Ask, machine: MachineSpec, settings, arm: Answers) -> None:
    assert {o.beside_usd_per_hour for o in ask(machine)} == {beside_usd_per_hour(100)}
    assumed = catalog.offers(settings(None), arm, Resources())
    assert {o.beside_usd_per_hour for o in assumed if o.gpu} == {beside_usd_per_hour(64)}
    assert {o.beside_usd_per_hour for o in assumed if not o.gpu} == {beside_usd_per_hour(30)}


def test_a_region_s_prices_of_today(settings, arm: Answers, clock: FakeClock) -> None:
    found = {(o.instance_type, o.market): o for o in price_list(settings(None), arm, EAST)}
    assert {key: o.usd_per_hour for key, o in found.items()} == {
        (T4, Market.ON_DEMAND): 0.5,
        (T4, Market.SPOT): 0.1,
        (T4_TWICE, Market.ON_DEMAND): 0.7,
        ("Standard_NV18ads_A10_v5", Market.ON_DEMAND): None,
        ("Standard_NV18ads_A10_v5", Market.SPOT): None,
        (B2S, Market.ON_DEMAND): 0.04,
        (B2S, Market.SPOT): None,
    }
    assert {(o.region, o.zone, o.priced_on) for o in found.values()} == {(EAST, "", clock.now().date())}


def test_a_price_list_that_cannot_be_had_is_said(
    settings, arm: Answers, prices: PriceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ProviderError, match="no region marswest"):
        price_list(settings(None), arm, "marswest")
    prices.statuses = [500]
    with pytest.raises(ProviderUnavailableError, match="HTTP 500"):
        price_list(settings(None), arm, EAST)
    monkeypatch.delenv("CLOUDTRAIN_AZURE_PRICES_URL")
    arm.endpoints = replace(arm.endpoints, manager="https://management.example")
    with pytest.raises(ProviderError, match=r"management\.example"):
        price_list(settings(None), arm, EAST)
    log_out(monkeypatch, tmp_path)
    with pytest.raises(NotSetUpError):
        price_list(settings(None), arm, EAST)


class TestOnThePretendCloud:
    """The same over TLS, each request and reply held to Microsoft's own models."""

    @pytest.fixture
    def live(self, cloud: Cloud, machine: MachineSpec, clock: FakeClock, tmp_path: Path, monkeypatch) -> Callable[..., Any]:
        monkeypatch.setenv("CLOUDTRAIN_AZURE_PRICES_URL", cloud.azure.prices_url)

        def made(**config: Any) -> tuple[MachineSpec, ProviderSettings]:
            named = {"resource_manager_url": cloud.azure.url, "authority_url": cloud.azure.url}
            mine = MachineSpec("m", "azure", **{"regions": (EAST,), "disk_gb": 100, **config}, **named)
            return mine, ProviderSettings(tmp_path / "home", clock, rows, mine)

        def offers(**config: Any) -> list[Offer]:
            mine, settings = made(**config)
            return [o for o in catalog.offers(settings, Arm(settings), Resources()) if o.named_by(mine)]

        offers.made = made  # type: ignore[attr-defined]  # one fixture for both
        return offers

    def test_a_plan_costs_one_round_of_calls(self, live: Callable[..., list[Offer]], cloud: Cloud, clock: FakeClock) -> None:
        found = live(instance_types=(T4,), market=Market.SPOT)
        calls = Counter(name for name in cloud.named() if not name.startswith("Entra:"))
        assert calls == {"Microsoft.Compute:skus/LIST": 1, "Retail:prices/LIST": 1}
        assert {(o.zone, o.usd_per_hour, o.priced_on, o.source) for o in found} == {
            (zone, 0.149174, clock.now().date(), "api") for zone in ("eastus-1", "eastus-2")
        }

    def test_restricted_and_retired_sizes_are_hidden(self, live: Callable[..., list[Offer]]) -> None:
        names = {(o.region, o.instance_type) for o in live(regions=(EAST, WEST))}
        assert (EAST, "Standard_NC40ads_H100_v5") in names
        assert (WEST, "Standard_NC40ads_H100_v5") not in names
        assert not any(name == "Standard_NC6s_v3" for _, name in names)

    def test_a_price_list_goes_page_by_page(self, live: Any, cloud: Cloud) -> None:
        cloud.azure._router.prices.page_size = 5
        _, settings = live.made()
        found = {(o.instance_type, o.market): o.usd_per_hour for o in price_list(settings, Arm(settings), EAST)}
        assert found[T4, Market.ON_DEMAND] == 0.526
        assert found["Standard_ND96isr_H100_v5", Market.SPOT] == 18.169536
        assert cloud.counted("Retail:prices/LIST") > 3
