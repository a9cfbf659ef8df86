import csv
import re
from datetime import date
from importlib import resources

import pytest

from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Market, Resources
from cloudtrain.prices import table
from cloudtrain.prices.table import cheapest, rows, table_date
from cloudtrain.prices.withdrawn import WITHDRAWALS, why_withdrawn

PROVIDERS = ("aws", "azure", "gcp")
FILES = resources.files("cloudtrain.prices")


def raw() -> list[dict[str, str]]:
    return list(csv.DictReader(FILES.joinpath("table.csv").read_text(encoding="utf-8").splitlines()))


def everything() -> list[Offer]:
    return [offer for provider in PROVIDERS for offer in rows(provider)]


def price(provider: str, instance_type: str, region: str, market: Market = Market.ON_DEMAND) -> float | None:
    (found,) = (o for o in rows(provider) if (o.instance_type, o.region, o.market) == (instance_type, region, market))
    return found.usd_per_hour


def test_the_table_has_what_was_compiled() -> None:
    by_provider = {provider: [row for row in raw() if row["provider"] == provider] for provider in PROVIDERS}
    assert {provider: len(found) for provider, found in by_provider.items()} == {"aws": 80, "azure": 945, "gcp": 405}
    assert len(raw()) == 80 + 945 + 405


def test_every_row_is_offered_on_both_markets_unless_withdrawn() -> None:
    # Azure loses the NCv3 series (4 types in 23 regions), Google A3 High below 8 GPUs on demand (3 types in 16 regions).
    assert {provider: len(rows(provider)) for provider in PROVIDERS} == {
        "aws": 2 * 80,
        "azure": 2 * (945 - 4 * 23),
        "gcp": 2 * 405 - 3 * 16,
    }
    keys = [(o.provider, o.instance_type, o.region, o.market) for o in everything()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("provider", "instance_type", "region", "usd"),
    [
        ("aws", "p3.2xlarge", "us-east-1", 3.06),
        ("aws", "g5.xlarge", "us-east-1", 1.006),
        ("aws", "p2.xlarge", "us-east-1", 0.90),
        ("aws", "t3.large", "us-east-1", 0.0832),
        ("azure", "Standard_NC4as_T4_v3", "eastus", 0.526),
        ("azure", "Standard_B2s", "eastus", 0.0416),
        ("gcp", "n1-standard-4+nvidia-tesla-t4", "us-central1", 0.54),
        ("gcp", "e2-standard-4", "us-central1", 0.134023),
    ],
)
def test_known_prices(provider: str, instance_type: str, region: str, usd: float) -> None:
    assert price(provider, instance_type, region) == usd


def test_an_unknown_price_is_none_and_no_price_is_zero() -> None:
    assert price("aws", "p3.2xlarge", "us-east-1", Market.SPOT) is None
    assert all(offer.usd_per_hour is None or offer.usd_per_hour > 0 for offer in everything())
    assert all(row[column] == "" or float(row[column]) > 0 for row in raw() for column in row if "usd" in column)


def test_every_row_is_dated_and_says_where_it_comes_from() -> None:
    assert all(date(2026, 1, 1) <= offer.priced_on <= date(2026, 11, 21) for offer in everything())
    assert {offer.source for offer in everything()} == {"table"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["priced_on"]) for row in raw())


def test_the_table_is_as_old_as_its_oldest_price() -> None:
    assert {p: table_date(p).isoformat() for p in PROVIDERS} == {
        "aws": "2026-02-09",
        "azure": "2026-06-18",
        "gcp": "2026-08-03",
    }
    with pytest.raises(KeyError):
        table_date("acme")


def test_a_provider_the_table_does_not_know_has_no_rows() -> None:
    assert rows("memory") == ()


def test_the_table_is_read_once() -> None:
    assert rows("aws") is rows("aws")


def test_a_slice_of_a_gpu_is_no_gpu() -> None:
    slices = [offer for offer in rows("azure") if offer.instance_type == "Standard_NV6ads_A10_v5"]
    assert {(offer.gpu, offer.gpu_count, offer.gpu_memory_gib) for offer in slices} == {("A10", 0, 4.0)}
    assert not any(offer.satisfies(Resources(gpus=1)) for offer in slices)
    assert all(offer.gpu_count == int(offer.gpu_count) for offer in everything())


def test_an_unknown_size_satisfies_no_need() -> None:
    (g7,) = (o for o in rows("aws") if o.instance_type == "g7.2xlarge" and o.market is Market.ON_DEMAND)
    assert (g7.vcpus, g7.memory_gib, g7.gpu, g7.compute_capability) == (0, 0.0, "RTXPRO4500", "12.0")
    assert g7.satisfies(Resources(gpus=1))
    assert not g7.satisfies(Resources(cpus=1))


def test_the_sizes_of_the_old_types_are_known() -> None:
    (p2,) = (o for o in rows("aws") if o.instance_type == "p2.xlarge" and o.market is Market.ON_DEMAND)
    assert (p2.vcpus, p2.memory_gib, p2.gpu, p2.compute_capability) == (4, 61.0, "K80", "3.7")


def test_chips_and_retired_machines_are_not_offered() -> None:
    names = {offer.instance_type for offer in everything()}
    assert not any("per chip" in name for name in names)
    assert not {"Standard_NC6s_v3", "Standard_NC12s_v3", "Standard_NC24s_v3", "Standard_NC24rs_v3"} & names
    assert not any(offer.gpu.startswith("TPU") for offer in everything())
    assert not any(offer.gpu == "K80" for offer in rows("gcp"))
    # Their neighbours are.
    assert {"Standard_NC4as_T4_v3", "Standard_ND40rs_v2", "Standard_NC24ads_A100_v4"} <= names


def test_small_a3_machines_are_spot_only() -> None:
    a3 = {(o.instance_type, o.market) for o in rows("gcp") if o.instance_type.startswith("a3-highgpu")}
    assert ("a3-highgpu-1g", Market.SPOT) in a3
    assert ("a3-highgpu-1g", Market.ON_DEMAND) not in a3
    assert ("a3-highgpu-8g", Market.ON_DEMAND) in a3


@pytest.mark.parametrize(
    ("provider", "instance_type"),
    [("azure", "Standard_NC24rs_v3"), ("gcp", "n1-standard-4+nvidia-tesla-k80"), ("gcp", "a3-highgpu-4g")],
)
def test_what_is_withdrawn_has_a_reason(provider: str, instance_type: str) -> None:
    assert why_withdrawn(Offer(provider, instance_type, "anywhere", usd_per_hour=1.0))
    assert not why_withdrawn(Offer("acme", instance_type, "anywhere", usd_per_hour=1.0))
    assert all(withdrawal.reason for withdrawal in WITHDRAWALS)


def test_cheapest_passes_over_unknown_prices() -> None:
    unknown, dear, cheap = (Offer("p", name, "r", usd_per_hour=usd) for name, usd in (("a", None), ("b", 2.0), ("c", 1.0)))
    assert cheapest([unknown, dear, cheap]) is cheap
    assert cheapest([unknown]) is None
    assert cheapest([]) is None


def test_every_source_in_the_table_is_written_down_with_its_licence() -> None:
    text = FILES.joinpath("SOURCES.md").read_text(encoding="utf-8")
    written = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`"):
            written[cells[0].strip("`")] = cells[4]
    used = {name for row in raw() for name in row["source"].split("+")}
    assert used == set(written)
    assert set(written.values()) == {"Apache-2.0", "MIT"}
    assert "MPL-2.0" in text


def test_a_damaged_table_is_a_value_error(monkeypatch: pytest.MonkeyPatch) -> None:
    good = raw()[0]
    monkeypatch.setattr(table, "_table", lambda: ({**good, "on_demand_usd_per_hour": "cheap"},))
    with pytest.raises(ValueError, match="cheap"):
        rows.__wrapped__(good["provider"])
