"""What Google offers: live where it may be asked, the dated table everywhere else."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.model.errors import NotSetUpError, ProviderError
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, Market, Resources
from cloudtrain.prices.table import rows
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.gcp import catalog
from cloudtrain.providers.gcp.billing import beside_usd_per_hour
from cloudtrain.providers.gcp.machine_types import Parts, joined, parts, read_machine_type
from cloudtrain.providers.gcp.price_list import price_list
from cloudtrain.providers.gcp.rest import Rest
from cloudtrain.testing.clock import FakeClock

from .answers import SKUS, Answers, card, denied, log_in, machine_type
from .conftest import Cloud

IOWA, CAROLINA = "us-central1", "us-east1"
L4 = ("g2-standard-4", "g2-standard-8")
TYPES, CARDS, PRICES = (
    "compute.machineTypes.aggregatedList",
    "compute.acceleratorTypes.aggregatedList",
    "cloudbilling.services.skus.list",
)
MARKET = (
    machine_type("g2-standard-4", f"{IOWA}-a", 4, 16384, gpu=("nvidia-l4", 1)),
    machine_type("g2-standard-4", f"{IOWA}-b", 4, 16384, gpu=("nvidia-l4", 1)),
    machine_type("g2-standard-8", f"{IOWA}-a", 8, 32768, gpu=("nvidia-l4", 1)),
    machine_type("g2-standard-4", f"{CAROLINA}-b", 4, 16384, gpu=("nvidia-l4", 1)),
    machine_type("a3-highgpu-1g", f"{IOWA}-a", 26, 239616, gpu=("nvidia-h100-80gb", 1)),
    machine_type("a3-highgpu-8g", f"{IOWA}-a", 208, 1916928, gpu=("nvidia-h100-80gb", 8)),
    machine_type("n1-standard-4", f"{IOWA}-a", 4, 15360),
    machine_type("n1-standard-16", f"{IOWA}-a", 16, 61440),
    machine_type("n1-standard-4", f"{IOWA}-c", 4, 15360),
    machine_type("e2-standard-4", f"{IOWA}-a", 4, 16384),
)
N1_GPUS = (card("nvidia-tesla-t4", f"{IOWA}-a", 4), card("nvidia-tesla-v100", f"{IOWA}-a", 8))

Ask = Callable[..., list[Offer]]


def of_these_names(path: str, query: Mapping[str, str]) -> dict[str, Any]:
    """List what the filter's expression matches, as Google does."""
    pattern = query["filter"].removeprefix('name eq "').removesuffix('"')
    return {"items": [each for each in MARKET if re.fullmatch(pattern, each["name"])]}


@pytest.fixture
def rest() -> Answers:
    return Answers({TYPES: of_these_names, CARDS: {"items": N1_GPUS}, PRICES: {"skus": SKUS}})


@pytest.fixture
def machine() -> MachineSpec:
    return MachineSpec("gcp-l4", "gcp", regions=(IOWA,), instance_types=L4, disk_gb=100)


@pytest.fixture
def settings(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ProviderSettings]:
    log_in(monkeypatch, tmp_path)

    def make(machine: MachineSpec | None, prices: Callable = rows) -> ProviderSettings:
        return ProviderSettings(tmp_path / "home", clock, prices, machine)

    return make


@pytest.fixture
def ask(settings: Callable[..., ProviderSettings], rest: Answers) -> Ask:
    """Return what is offered, without the table's offers of what the machine config does not name."""

    def offers(machine: MachineSpec, need: Resources | None = None, prices: Callable = rows) -> list[Offer]:
        found = catalog.offers(settings(machine, prices), rest, need or Resources())
        return [offer for offer in found if offer.named_by(machine)]

    return offers


def aged(clock: FakeClock, days: int) -> Callable[[str], list[Offer]]:
    day = clock.now().date() - timedelta(days=days)
    return lambda name: [replace(offer, priced_on=day) for offer in rows(name)]


def table(name: str, region: str = IOWA, market: Market = Market.ON_DEMAND) -> Offer:
    return next(o for o in rows("gcp") if (o.instance_type, o.region, o.market) == (name, region, market))


def test_each_zone_that_has_a_type_is_an_offer_with_the_price_of_today(
    ask: Ask, machine: MachineSpec, rest: Answers, clock: FakeClock
) -> None:
    found = ask(machine)
    assert {(o.instance_type, o.zone, o.region) for o in found} == {
        ("g2-standard-4", f"{IOWA}-a", IOWA),
        ("g2-standard-4", f"{IOWA}-b", IOWA),
        ("g2-standard-8", f"{IOWA}-a", IOWA),
    }
    assert {(o.source, o.priced_on) for o in found} == {("api", clock.now().date())}
    assert all(o.usd_per_hour == pytest.approx(table(o.instance_type).usd_per_hour, rel=1e-4) for o in found)
    four = next(o for o in found if o.instance_type == "g2-standard-4")
    assert (four.vcpus, four.memory_gib, four.gpu, four.gpu_count, four.gpu_memory_gib) == (4, 16.0, "L4", 1, 24)
    assert four.compute_capability == table("g2-standard-4").compute_capability
    assert Counter(rest.named()) == {TYPES: 1, PRICES: 1}


def test_sizes_are_those_of_the_table(ask: Ask, machine: MachineSpec) -> None:
    names = ("g2-standard-8", "a3-highgpu-8g", "n1-standard-4+nvidia-tesla-t4")
    for live in ask(replace(machine, instance_types=names)):
        listed = table(live.instance_type)
        same = ("vcpus", "memory_gib", "gpu", "gpu_count", "gpu_memory_gib", "compute_capability")
        assert [getattr(live, name) for name in same] == [getattr(listed, name) for name in same]


def test_only_the_named_types_are_asked_for(ask: Ask, machine: MachineSpec, rest: Answers) -> None:
    ask(machine)
    [query] = [query for method_id, _, query in rest.asked if method_id == TYPES]
    assert query["filter"] == 'name eq "(g2-standard-4|g2-standard-8)"'


@pytest.mark.parametrize(("days", "asked"), [(0, 0), (7, 0), (8, 1), (-1, 1)])
def test_a_fresh_price_is_not_asked_for(days: int, asked: int, ask: Ask, machine: MachineSpec, rest: Answers, clock) -> None:
    found = ask(machine, prices=aged(clock, days))
    assert rest.named().count(PRICES) == asked
    assert {offer.source for offer in found} == {"api" if asked else "table"}
    assert all(offer.zone for offer in found)


def test_a_fresh_price_holds_beside_one_that_was_asked_for(ask: Ask, machine: MachineSpec, clock: FakeClock) -> None:
    today = clock.now().date()

    def half_fresh(name: str) -> list[Offer]:
        return [replace(o, usd_per_hour=9.0, priced_on=today) if o.instance_type == L4[0] else o for o in rows(name)]

    found = {o.instance_type: (o.usd_per_hour, o.source) for o in ask(machine, prices=half_fresh)}
    assert found[L4[0]] == (9.0, "table")
    assert found[L4[1]] == (pytest.approx(table(L4[1]).usd_per_hour, rel=1e-4), "api")


def test_google_s_prices_are_read_once_a_week(ask: Ask, machine: MachineSpec, rest: Answers, clock: FakeClock) -> None:
    day = clock.now().date()
    first = ask(machine)
    clock.advance(7 * 24 * 3600)
    assert ask(machine) == first
    assert {offer.priced_on for offer in first} == {day}
    assert rest.named().count(PRICES) == 1
    clock.advance(24 * 3600)
    assert {offer.priced_on for offer in ask(machine)} == {clock.now().date()}
    assert rest.named().count(PRICES) == 2


def test_prices_that_were_kept_badly_are_read_again(ask: Ask, machine: MachineSpec, rest: Answers, tmp_path: Path) -> None:
    ask(machine)
    for damage in ("", "[]", '{"read_on": "soon", "prices": []}', '{"read_on": "2026-11-21", "prices": [[1]]}'):
        (tmp_path / "home" / "gcp" / "prices.json").write_text(damage)
        assert {offer.source for offer in ask(machine)} == {"api"}
    assert rest.named().count(PRICES) == 5


def test_prices_that_cannot_be_kept_are_prices(ask: Ask, machine: MachineSpec, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("no folder")
    assert {offer.source for offer in ask(machine)} == {"api"}


def test_without_the_catalogue_the_table_s_price_holds_with_its_date(ask: Ask, machine: MachineSpec, rest: Answers) -> None:
    rest.by_method[PRICES] = denied(PRICES)
    found = ask(machine)
    assert {(o.instance_type, o.usd_per_hour, o.priced_on, o.source) for o in found} == {
        (name, table(name).usd_per_hour, table(name).priced_on, "table") for name in L4
    }
    assert all(offer.zone for offer in found)


def test_what_nobody_knows_a_price_of_has_none(ask: Ask, machine: MachineSpec, rest: Answers) -> None:
    rest.by_method[PRICES] = {"skus": []}
    found = ask(replace(machine, instance_types=("n1-standard-16+4xnvidia-tesla-t4",)))
    assert [(o.usd_per_hour, o.priced_on, o.gpu_count) for o in found] == [(None, None, 4)]


def test_gpus_are_attached_where_their_zone_has_them(ask: Ask, machine: MachineSpec, rest: Answers) -> None:
    name = "n1-standard-4+nvidia-tesla-t4"
    found = ask(replace(machine, instance_types=(name,)))
    assert [(o.instance_type, o.zone, o.gpu, o.gpu_count) for o in found] == [(name, f"{IOWA}-a", "T4", 1)]
    assert found[0].usd_per_hour == pytest.approx(4 * 0.031611 + 15 * 0.004237 + 0.35, abs=1e-6)
    assert Counter(rest.named()) == {TYPES: 1, CARDS: 1, PRICES: 1}


def test_no_more_gpus_are_attached_than_the_zone_takes(ask: Ask, machine: MachineSpec, rest: Answers) -> None:
    rest.by_method[CARDS] = {"items": [card("nvidia-tesla-t4", f"{IOWA}-a", 2)]}
    found = ask(replace(machine, instance_types=()), Resources(gpu="T4"))
    assert {o.gpu_count for o in found if o.zone} == {1, 2}


def test_any_type_with_a_gpu_is_found_by_what_is_needed(ask: Ask, machine: MachineSpec) -> None:
    by_need = replace(machine, instance_types=())
    assert {o.instance_type for o in ask(by_need, Resources(gpu="T4", gpus=2)) if o.zone} == {
        "n1-standard-4+2xnvidia-tesla-t4",
        "n1-standard-4+4xnvidia-tesla-t4",
        "n1-standard-16+2xnvidia-tesla-t4",
        "n1-standard-16+4xnvidia-tesla-t4",
    }
    # A V100 takes at most 12 vCPUs beside it.
    assert not any(o.instance_type == "n1-standard-16+nvidia-tesla-v100" for o in ask(by_need, Resources(gpu="V100")))
    assert {o.instance_type for o in ask(by_need, Resources(gpus=1))} >= {"g2-standard-4", "a3-highgpu-8g"}
    assert all(o.gpu for o in ask(by_need) if o.zone)


def test_what_is_sold_on_the_spot_market_only_is_offered_there_only(ask: Ask, machine: MachineSpec) -> None:
    both = replace(machine, instance_types=("a3-highgpu-1g", "a3-highgpu-8g"))
    assert {o.instance_type for o in ask(both)} == {"a3-highgpu-8g"}
    assert {o.instance_type for o in ask(replace(both, market=Market.SPOT))} == {"a3-highgpu-1g", "a3-highgpu-8g"}


@pytest.mark.parametrize("name", ["a4-highgpu-8g", "a3-ultragpu-8g", "a3-highgpu-1g", "a3-highgpu-2g", "a3-highgpu-4g"])
def test_types_that_nobody_sells_on_demand(name: str) -> None:
    read = read_machine_type(machine_type(name, "z-a", 8, 1024, gpu=("nvidia-b200", 8)))
    assert read.markets == {Market.SPOT}


@pytest.mark.parametrize("name", ["a3-highgpu-8g", "a3-megagpu-8g", "a2-highgpu-1g", "g4-standard-48", "e2-standard-4"])
def test_types_that_are_sold_on_both_markets(name: str) -> None:
    assert read_machine_type(machine_type(name, "z-a", 8, 1024)).markets == set(Market)


@pytest.mark.parametrize(
    "info",
    [
        machine_type("g2-standard-4", "z-a", 4, 1024, gpu=("nvidia-l4", 1), deprecated={"state": "DEPRECATED"}),
        machine_type("ct5lp-hightpu-4t", "z-a", 112, 1024, gpu=("ct5lp", 4)),
        machine_type("a4x-highgpu-4g", "z-a", 140, 1024, gpu=("nvidia-gb200", 4)),
        machine_type("c4a-standard-4", "z-a", 4, 1024, architecture="ARM64"),
        machine_type("g2-standard-4", "z-a", 4, 1024, gpu=("nvidia-l4-vws", 1)),
    ],
)
def test_what_is_going_or_is_no_machine_for_us_is_left_out(info: dict[str, Any]) -> None:
    assert read_machine_type(info) is None


def test_a_slice_of_a_gpu_counts_as_none_and_has_its_share_of_memory() -> None:
    for name, part in (("g4-standard-6", 12.0), ("g4-standard-24", 48.0)):
        read = read_machine_type(machine_type(name, "z-a", 6, 22 * 1024, gpu=("nvidia-rtx-pro-6000", 1)))
        offer = read.offer(Market.SPOT)
        assert (offer.gpu, offer.gpu_count, offer.gpu_memory_gib) == ("RTXPRO6000", 0, part)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("g2-standard-4", Parts("g2-standard-4")),
        ("n1-standard-4+nvidia-tesla-t4", Parts("n1-standard-4", "nvidia-tesla-t4", 1)),
        ("n1-standard-96+8xnvidia-tesla-v100", Parts("n1-standard-96", "nvidia-tesla-v100", 8)),
    ],
)
def test_an_instance_type_names_machine_and_gpus(name: str, found: Parts) -> None:
    assert parts(name) == found
    assert joined(found) == name


def test_every_type_of_the_table_is_one_we_can_take_apart() -> None:
    assert all(joined(parts(offer.instance_type)) == offer.instance_type for offer in rows("gcp"))
    attached = {parts(o.instance_type).accelerator for o in rows("gcp") if "+" in o.instance_type}
    assert attached <= {"nvidia-tesla-t4", "nvidia-tesla-p100", "nvidia-tesla-v100"}


def test_another_region_is_the_table_s(ask: Ask, machine: MachineSpec, settings, rest: Answers) -> None:
    found = catalog.offers(settings(machine), rest, Resources())
    assert not [o for o in found if o.region == CAROLINA and o.zone]
    assert [o for o in found if o.region == CAROLINA and o.instance_type == "g2-standard-4"]
    both = ask(replace(machine, regions=(IOWA, CAROLINA)))
    assert {o.zone for o in both if o.region == CAROLINA} == {f"{CAROLINA}-b"}
    assert {o.region for o in ask(replace(machine, regions=()))} == {IOWA, CAROLINA}


def test_a_zone_that_does_not_answer_makes_it_the_table_s(ask: Ask, machine: MachineSpec, rest: Answers) -> None:
    rest.by_method[TYPES] = ProviderError("not every place answered")
    found = ask(machine)
    assert {offer.source for offer in found} == {"table"}
    assert not any(offer.zone for offer in found)


@pytest.mark.parametrize("state", ["no config", "no login", "no library", "unreadable settings"])
def test_nobody_is_asked_who_cannot_be(
    state: str, settings, rest: Answers, machine: MachineSpec, tmp_path, monkeypatch
) -> None:
    if state == "no login":
        monkeypatch.delenv("CLOUDSDK_AUTH_ACCESS_TOKEN")
    if state == "no library":
        monkeypatch.setattr(catalog, "is_installed", lambda module: False)
    if state == "unreadable settings":
        monkeypatch.setenv("CLOUDSDK_ACTIVE_CONFIG_NAME", "broken")
        (tmp_path / "gcloud" / "configurations").mkdir(parents=True)
        (tmp_path / "gcloud" / "configurations" / "config_broken").write_text("no section\n")
    found = catalog.offers(settings(None if state == "no config" else machine), rest, Resources())
    assert rest.asked == []
    assert {offer.source for offer in found} == {"table"}


def test_disk_and_address_are_paid_beside(ask: Ask, machine: MachineSpec, settings, rest: Answers) -> None:
    assert {offer.beside_usd_per_hour for offer in ask(machine)} == {round(10 / 730 + 0.005, 6)}
    from_table = catalog.offers(settings(None), rest, Resources(gpus=1))
    assert {offer.beside_usd_per_hour for offer in from_table} == {beside_usd_per_hour(100)}


def test_a_region_s_prices_of_today(settings, rest: Answers, clock: FakeClock) -> None:
    found = {(o.instance_type, o.market): o for o in price_list(settings(None), rest, IOWA)}
    assert not any(offer.zone for offer in found.values())
    assert {offer.region for offer in found.values()} == {IOWA}
    assert {offer.priced_on for offer in found.values()} == {clock.now().date()}
    assert found["g2-standard-4", Market.SPOT].usd_per_hour == pytest.approx(0.256)
    assert found["e2-standard-4", Market.ON_DEMAND].usd_per_hour == pytest.approx(0.134023)
    assert ("a3-highgpu-1g", Market.SPOT) in found
    assert ("a3-highgpu-1g", Market.ON_DEMAND) not in found
    assert ("n1-standard-4+nvidia-tesla-t4", Market.ON_DEMAND) in found
    assert ("n1-standard-4", Market.ON_DEMAND) not in found


def test_prices_of_yesterday_are_not_those_of_today(settings, rest: Answers, clock: FakeClock) -> None:
    price_list(settings(None), rest, IOWA)
    price_list(settings(None), rest, IOWA)
    assert rest.named().count(PRICES) == 1
    clock.advance(24 * 3600)
    price_list(settings(None), rest, IOWA)
    assert rest.named().count(PRICES) == 2


def test_a_region_that_is_none_is_said(settings, rest: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProviderError, match="no region mars-west1"):
        price_list(settings(None), rest, "mars-west1")
    monkeypatch.delenv("CLOUDSDK_AUTH_ACCESS_TOKEN")
    with pytest.raises(NotSetUpError):
        price_list(settings(None), rest, IOWA)


class TestOnThePretendCloud:
    """The same over HTTP, each request and reply checked against Google's discovery documents."""

    @pytest.fixture
    def live(self, cloud: Cloud, clock: FakeClock, tmp_path: Path) -> Callable[..., list[Offer]]:
        def offers(**config: Any) -> list[Offer]:
            machine = MachineSpec("m", "gcp", disk_gb=100, endpoint_url=cloud.gcp.url, **config)
            settings = ProviderSettings(tmp_path / "home", clock, rows, machine)
            return [o for o in catalog.offers(settings, Rest(settings), Resources()) if o.named_by(machine) and o.zone]

        return offers

    def test_a_plan_costs_one_round_of_calls(self, live: Callable[..., list[Offer]], cloud: Cloud) -> None:
        names = ("g2-standard-4", "n1-standard-4+nvidia-tesla-t4")
        found = live(regions=(IOWA,), instance_types=names)
        assert Counter(cloud.named()) == {TYPES: 1, CARDS: 1, PRICES: 1}
        assert {o.instance_type for o in found} == set(names)
        assert {o.zone for o in found} == {f"{IOWA}-{letter}" for letter in "abcf"}
        assert {o.source for o in found} == {"api"}
        assert all(o.usd_per_hour == pytest.approx(table(o.instance_type).usd_per_hour, rel=1e-4) for o in found)

    def test_the_week_s_other_plans_ask_for_no_prices(self, live: Callable[..., list[Offer]], cloud: Cloud) -> None:
        live(regions=(IOWA,), instance_types=L4)
        cloud.gcp.forget_calls()
        live(regions=(IOWA,), instance_types=L4)
        assert cloud.named() == [TYPES]

    def test_without_types_all_that_have_gpus_are_found(self, live: Callable[..., list[Offer]]) -> None:
        found = live(regions=(IOWA, "europe-west4"), market=Market.SPOT)
        assert {o.gpu for o in found} == {"T4", "V100", "P100", "P4", "L4", "A100", "H100", "H200", "B200", "RTXPRO6000"}
        assert not any(o.instance_type.startswith(("e2", "n2")) for o in found)
        assert {o.region for o in found} == {IOWA, "europe-west4"}

    def test_a_price_list_over_http(self, cloud: Cloud, clock: FakeClock, tmp_path: Path) -> None:
        machine = MachineSpec("m", "gcp", endpoint_url=cloud.gcp.url)
        settings = ProviderSettings(tmp_path / "home", clock, rows, machine)
        found = {(o.instance_type, o.market): o.usd_per_hour for o in price_list(settings, Rest(settings), IOWA)}
        assert found["e2-standard-4", Market.ON_DEMAND] == pytest.approx(0.134023, abs=1e-6)
        assert found["n1-standard-8+2xnvidia-tesla-v100", Market.SPOT] is not None

    def test_a_service_that_is_not_switched_on_leaves_the_table_s_price(self, live: Callable, cloud: Cloud) -> None:
        cloud.gcp.account.disabled_services = {"cloudbilling.googleapis.com"}
        assert {o.source for o in live(regions=(IOWA,), instance_types=L4)} == {"table"}
