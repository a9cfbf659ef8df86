"""What AWS offers: live where it may be asked, the dated table everywhere else."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.model.errors import NoOfferFitsError
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Budget, Framework, JobSpec, MachineSpec, Market, Resources
from cloudtrain.prices.table import rows
from cloudtrain.providers.aws import catalog, market
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.instance_types import gpu_name, read_instance_type
from cloudtrain.providers.aws.market import read_zones
from cloudtrain.providers.aws.pricing import beside_usd_per_hour
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.stages.plan import make_plan
from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.provider_contract import OfferSourceContract

from .conftest import OTHER_REGION, REGION, Cloud
from .stand_in import StandIn, account_on

T4 = ("g4dn.xlarge", "g4dn.2xlarge")
ONE_ROUND = {"DescribeInstanceTypes": 1, "DescribeInstanceTypeOfferings": 1}

Ask = Callable[..., list[Offer]]


@pytest.fixture
def stand_in() -> StandIn:
    prices = {(REGION, "g4dn.xlarge"): 0.50, (REGION, "g4dn.2xlarge"): 0.70, (OTHER_REGION, "g4dn.xlarge"): 0.60}
    return StandIn(prices, gpus=set(T4))


@pytest.fixture
def machine(cloud: Cloud) -> MachineSpec:
    return MachineSpec("aws-g4dn", "aws", regions=(REGION,), instance_types=T4, disk_gb=100, endpoint_url=cloud.aws.url)


@pytest.fixture
def open_account(cloud: Cloud, stand_in: StandIn, clock: FakeClock, tmp_path: Path) -> Callable[..., Account]:
    def make(machine: MachineSpec | None, prices: Callable[[str], list[Offer]] = rows) -> Account:
        return account_on(cloud, stand_in, ProviderSettings(tmp_path / "home", clock, prices, machine))

    return make


@pytest.fixture
def ask(open_account: Callable[..., Account]) -> Ask:
    """Return what is offered, without the table's offers of what the machine config does not name."""

    def offers(machine: MachineSpec, need: Resources | None = None, prices: Callable = rows) -> list[Offer]:
        account = open_account(machine, prices)
        found = catalog.offers(account.settings, account.clients, need or Resources())
        return [offer for offer in found if offer.named_by(machine)]

    return offers


def aged(clock: FakeClock, days: int) -> Callable[[str], list[Offer]]:
    day = clock.now().date() - timedelta(days=days)
    return lambda name: [replace(offer, priced_on=day) for offer in rows(name)]


def table_price(name: str) -> Offer:
    return next(o for o in rows("aws") if o.instance_type == name and o.market is Market.ON_DEMAND)


def test_each_zone_that_has_a_type_is_an_offer_with_the_price_of_today(
    ask: Ask, machine: MachineSpec, cloud: Cloud, clock: FakeClock
) -> None:
    found = ask(machine)
    zones = Counter(offer.instance_type for offer in found)
    assert set(zones) == set(T4)
    assert min(zones.values()) > 1
    assert len({(offer.instance_type, offer.zone) for offer in found}) == len(found)
    assert all(offer.zone.startswith(REGION) for offer in found)
    assert {(offer.instance_type, offer.usd_per_hour) for offer in found} == {("g4dn.xlarge", 0.5), ("g4dn.2xlarge", 0.7)}
    assert {(offer.source, offer.priced_on) for offer in found} == {("api", clock.now().date())}
    assert {(o.gpu, o.gpu_count, o.gpu_memory_gib, o.compute_capability) for o in found} == {("T4", 1, 16.0, "7.5")}
    assert Counter(cloud.named()) == {**ONE_ROUND, "GetProducts": 2}


def test_only_the_named_types_are_asked_for(ask: Ask, machine: MachineSpec, cloud: Cloud) -> None:
    ask(machine)
    for operation in ONE_ROUND:
        (sent,) = cloud.sent(operation)
        assert sent["Filters"] == [{"Name": "instance-type", "Values": list(T4)}]


@pytest.mark.parametrize(("days", "asked"), [(0, 0), (7, 0), (8, 2), (-1, 2)])
def test_a_fresh_price_is_not_asked_for_again(
    days: int, asked: int, ask: Ask, machine: MachineSpec, cloud: Cloud, clock: FakeClock
) -> None:
    found = ask(machine, prices=aged(clock, days))
    assert cloud.named().count("GetProducts") == asked
    usd, source = (0.5, "api") if asked else (table_price("g4dn.xlarge").usd_per_hour, "table")
    assert {(o.usd_per_hour, o.source) for o in found if o.instance_type == "g4dn.xlarge"} == {(usd, source)}
    assert all(offer.zone for offer in found)


def test_a_spot_price_is_that_of_its_zone(ask: Ask, machine: MachineSpec, stand_in: StandIn, cloud: Cloud) -> None:
    stand_in.spot = {
        ("g4dn.xlarge", f"{REGION}a"): 0.2,
        ("g4dn.xlarge", f"{REGION}b"): 0.3,
        ("g4dn.2xlarge", f"{REGION}a"): 0.0,
    }
    found = {(o.instance_type, o.zone): o for o in ask(replace(machine, market=Market.SPOT))}
    assert found["g4dn.xlarge", f"{REGION}a"].usd_per_hour == 0.2
    assert found["g4dn.xlarge", f"{REGION}b"].usd_per_hour == 0.3
    # Zero is no price, and the table has none either.
    assert found["g4dn.2xlarge", f"{REGION}a"].usd_per_hour is None
    assert found["g4dn.2xlarge", f"{REGION}a"].priced_on is None
    assert Counter(cloud.named()) == {**ONE_ROUND, "DescribeSpotPriceHistory": 1}


def test_what_is_not_sold_on_a_market_is_not_offered_there(
    ask: Ask, machine: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = market.sizes

    def without_on_demand(*asked: object) -> dict:
        found = real(*asked)
        return {**found, "g4dn.xlarge": replace(found["g4dn.xlarge"], markets=frozenset({Market.SPOT}))}

    monkeypatch.setattr(market, "sizes", without_on_demand)
    assert {offer.instance_type for offer in ask(machine)} == {"g4dn.2xlarge"}
    assert {offer.instance_type for offer in ask(replace(machine, market=Market.SPOT))} == set(T4)


def test_disk_and_address_are_paid_beside(ask: Ask, machine: MachineSpec, open_account: Callable[..., Account]) -> None:
    assert {offer.beside_usd_per_hour for offer in ask(machine)} == {round(100 * 0.08 / 730 + 0.005, 6)}
    account = open_account(None)
    from_table = catalog.offers(account.settings, account.clients, Resources())
    assert {offer.beside_usd_per_hour for offer in from_table} == {beside_usd_per_hour(75), beside_usd_per_hour(8)}


def test_what_the_config_does_not_name_is_the_tables(open_account: Callable[..., Account], machine: MachineSpec) -> None:
    account = open_account(machine)
    found = catalog.offers(account.settings, account.clients, Resources())
    rest = {(o.instance_type, o.market) for o in found if not o.zone}
    assert rest == {(o.instance_type, o.market) for o in rows("aws")} - {(name, Market.ON_DEMAND) for name in T4}


@pytest.mark.parametrize("operation", ONE_ROUND)
@pytest.mark.parametrize("code", ["UnauthorizedOperation", ""])
def test_a_region_that_does_not_answer_is_the_tables_as_a_whole(
    operation: str, code: str, ask: Ask, machine: MachineSpec, cloud: Cloud
) -> None:
    cloud.fail(operation, code, times=99)
    found = ask(machine)
    assert [(o.instance_type, o.zone, o.source) for o in found] == [(name, "", "table") for name in sorted(T4)]
    assert all(o.usd_per_hour == table_price(o.instance_type).usd_per_hour for o in found)


@pytest.mark.parametrize("code", ["AccessDeniedException", ""])
def test_without_the_price_list_the_price_is_the_tables_with_its_date(
    code: str, ask: Ask, machine: MachineSpec, cloud: Cloud
) -> None:
    cloud.fail("GetProducts", code, times=99)
    found = [offer for offer in ask(machine) if offer.instance_type == "g4dn.xlarge"]
    listed = table_price("g4dn.xlarge")
    assert {(o.usd_per_hour, o.priced_on, o.source) for o in found} == {(listed.usd_per_hour, listed.priced_on, "table")}
    assert all(offer.zone for offer in found)


def test_a_region_that_is_not_switched_on_has_no_offers_while_another_answers(
    ask: Ask, machine: MachineSpec, cloud: Cloud
) -> None:
    account_wide = replace(machine, regions=(REGION, OTHER_REGION))
    assert {offer.region for offer in ask(account_wide)} == {REGION, OTHER_REGION}
    everywhere = [replace(offer, region=OTHER_REGION) for offer in rows("aws")]
    cloud.fail("DescribeInstanceTypes", "OptInRequired")
    found = ask(account_wide, prices=lambda name: [*rows(name), *everywhere])
    assert len({offer.region for offer in found}) == 1
    assert all(offer.zone for offer in found)


def test_a_type_the_region_does_not_have_is_not_offered(
    open_account: Callable[..., Account], machine: MachineSpec, clock: FakeClock
) -> None:
    gone = replace(table_price("g4dn.xlarge"), instance_type="g2.8xlarge")
    account = open_account(replace(machine, instance_types=("g2.8xlarge",)), lambda name: [*rows(name), gone])
    provider = AwsProvider(account.settings)
    provider._account = account
    with pytest.raises(NoOfferFitsError, match=r"no known offer of g2\.8xlarge"):
        make_plan(account.settings.machine, provider, clock.now())


def test_a_plan_for_an_old_gpu_still_names_the_cheapest_that_will_do(
    open_account: Callable[..., Account], machine: MachineSpec, clock: FakeClock
) -> None:
    account = open_account(replace(machine, instance_types=("g5g.xlarge",)))
    provider = AwsProvider(account.settings)
    provider._account = account
    job = JobSpec("j", Path("/job"), "true", framework=Framework.TENSORFLOW, resources=Resources(gpus=1), budget=Budget(5.0))
    with pytest.raises(NoOfferFitsError, match="Arm") as refused:
        make_plan(account.settings.machine, provider, clock.now(), job=job)
    assert "The cheapest that will do is g4dn.xlarge" in refused.value.hint


def test_a_config_without_types_gets_every_gpu_that_satisfies(ask: Ask, machine: MachineSpec, cloud: Cloud) -> None:
    found = ask(replace(machine, instance_types=()), Resources(gpus=4, gpu_memory_gb=24))
    live = [offer for offer in found if offer.zone]
    assert {"g5.12xlarge", "g6.12xlarge", "p4d.24xlarge"} <= {offer.instance_type for offer in live}
    assert all(offer.gpu_count >= 4 and offer.gpu_memory_gib >= 24 for offer in found)
    (sizes,) = cloud.sent("DescribeInstanceTypes")
    assert sizes["Filters"][0]["Values"] == ["g*", "p*"]
    asked = [{each["Field"]: each["Value"] for each in sent["Filters"]} for sent in cloud.sent("GetProducts")]
    assert [filters["instanceFamily"] for filters in asked if "instanceFamily" in filters] == ["GPU instance"]
    # What the family's list did not hold was asked for by name, once.
    by_name = Counter(filters["instanceType"] for filters in asked if "instanceType" in filters)
    assert {"p4d.24xlarge", "g5.12xlarge"} <= by_name.keys()
    assert not by_name.keys() & set(T4)
    assert set(by_name.values()) == {1}


def test_slices_arm_and_amd_are_as_in_the_table() -> None:
    nvidia = {"Name": "L4", "Manufacturer": "NVIDIA", "MemoryInfo": {"SizeInMiB": 5722}, "Count": 0, "GpuPartitionSize": 0.25}
    info = {"InstanceType": "g6f.2xlarge", "GpuInfo": {"Gpus": [nvidia]}, "SupportedUsageClasses": ["spot", "capacity-block"]}
    read = read_instance_type(info)
    assert (read.gpu, read.gpu_count, read.gpu_memory_gib, read.markets) == ("L4", 0, 6.0, {Market.SPOT})
    arm = {"ProcessorInfo": {"SupportedArchitectures": ["arm64"]}}
    assert read_instance_type({"InstanceType": "t4g.micro", **arm}) is None
    t4g = {"Name": "T4g", "Manufacturer": "NVIDIA", "Count": 1, "MemoryInfo": {"SizeInMiB": 16384}}
    assert read_instance_type({"InstanceType": "g5g.xlarge", "GpuInfo": {"Gpus": [t4g]}, **arm}).gpu == "T4G"
    amd = {"Name": "Radeon Pro V520", "Manufacturer": "AMD", "Count": 1}
    assert read_instance_type({"InstanceType": "g4ad.xlarge", "GpuInfo": {"Gpus": [amd]}}) is None


def test_a_gpu_that_is_new_to_us_is_offered_without_a_capability() -> None:
    new = {"Name": "X900", "Manufacturer": "NVIDIA", "Count": 8, "MemoryInfo": {"SizeInMiB": 300_000}}
    read = read_instance_type({"InstanceType": "p9.48xlarge", "GpuInfo": {"Gpus": [new]}})
    assert (read.gpu, read.gpu_count, read.gpu_memory_gib, read.compute_capability) == ("X900", 8, 293.0, "")


@pytest.mark.parametrize(("said", "ours"), [("RTX PRO Server 6000", "RTXPRO6000"), ("T4g", "T4G"), ("NVIDIA L40S", "L40S")])
def test_gpus_are_named_as_in_the_table(said: str, ours: str) -> None:
    assert gpu_name(said) == ours


def test_every_type_that_both_know_has_the_sizes_of_the_table(ask: Ask, machine: MachineSpec) -> None:
    """moto's types are what EC2 answered once; the table was compiled by others."""
    live = {offer.instance_type: offer for offer in ask(replace(machine, instance_types=())) if offer.zone}
    listed = {offer.instance_type: offer for offer in rows("aws") if offer.vcpus}
    both = live.keys() & listed.keys()
    assert len(both) > 40
    for name in both:
        assert sizes_of(live[name]) == sizes_of(listed[name])


def sizes_of(offer: Offer) -> tuple:
    gpu = (offer.gpu, offer.gpu_count, offer.gpu_memory_gib, offer.compute_capability)
    return (offer.instance_type, offer.vcpus, offer.memory_gib, *gpu)


def test_local_zones_are_left_out() -> None:
    entries = [{"InstanceType": "g4dn.xlarge", "Location": zone} for zone in ("us-east-1a", "us-east-1-bos-1a", "us-east-1b")]
    assert read_zones("us-east-1", entries) == {"g4dn.xlarge": {"us-east-1a", "us-east-1b"}}


def test_without_credentials_nobody_is_asked(
    ask: Ask, machine: MachineSpec, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert {offer.source for offer in ask(machine)} == {"table"}
    assert cloud.calls == []


def test_without_a_machine_nobody_is_asked(open_account: Callable[..., Account], cloud: Cloud) -> None:
    account = open_account(None)
    found = catalog.offers(account.settings, account.clients, Resources(gpus=1))
    assert {offer.instance_type for offer in found} == {o.instance_type for o in rows("aws") if o.gpu_count}
    assert cloud.calls == []


@pytest.mark.usefixtures("cloud")
def test_a_profile_that_does_not_exist_leaves_the_table(machine: MachineSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert ask_in_a_new_process(machine) == ["table"]


@pytest.mark.usefixtures("cloud")
def test_the_table_alone_imports_no_sdk(machine: MachineSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    # Credentials of a machine in the cloud are not looked for: nothing listens there, and it would take a second.
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    assert ask_in_a_new_process(machine) == ["table"]


ELSEWHERE = """
import sys
from pathlib import Path
from cloudtrain.clock import SystemClock
from cloudtrain.model.spec import MachineSpec, Resources
from cloudtrain.prices.table import rows
from cloudtrain.providers.aws.provider import create
from cloudtrain.providers.base import ProviderSettings
machine = MachineSpec("m", "aws", regions=("us-east-1",), instance_types=("g4dn.xlarge",), endpoint_url=sys.argv[1])
found = create(ProviderSettings(Path(sys.argv[2]), SystemClock(), rows, machine)).offers(Resources())
assert "boto3" not in sys.modules, "boto3 was imported"
print(*{offer.source for offer in found})
"""


def ask_in_a_new_process(machine: MachineSpec) -> list[str]:
    argv = [sys.executable, "-c", ELSEWHERE, str(machine.endpoint_url), os.environ["HOME"]]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


class TestLiveContract(OfferSourceContract):
    """The law for sources of prices, kept by live offers."""

    @pytest.fixture
    def provider(self, open_account: Callable[..., Account], machine: MachineSpec, stand_in: StandIn) -> AwsProvider:
        stand_in.quotas = {"L-DB2E81BA": 8}
        account = open_account(machine)
        provider = AwsProvider(account.settings)
        provider._account = account
        return provider
