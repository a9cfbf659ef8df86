"""Limits in vCPUs: the code, what is used, and the line that asks for more."""

from pathlib import Path

import pytest

from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Market
from cloudtrain.prices.table import rows
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.quota import count_vcpus, family_of, outlook_quota, quota_code, request_line
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.clock import FakeClock

from .conftest import REGION, Cloud
from .stand_in import StandIn, account_on

G, G_SPOT = "L-DB2E81BA", "L-3819A6DF"
P, P_SPOT, P5_SPOT = "L-417A185B", "L-7212CCBC", "L-C4BD4855"


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn(quotas={G: 64, G_SPOT: 4})


@pytest.fixture
def account(cloud: Cloud, stand_in: StandIn, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.aws.url)
    return account_on(cloud, stand_in, ProviderSettings(tmp_path / "home", clock, rows))


def offer(name: str, vcpus: int, market: Market = Market.ON_DEMAND) -> Offer:
    return Offer("aws", name, REGION, market, vcpus=vcpus)


def run(account: Account, name: str, count: int = 1, **more: object) -> list[str]:
    ec2 = account.clients.ec2(REGION)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, InstanceType=name, MinCount=count, MaxCount=count, **more)
    return [instance["InstanceId"] for instance in made["Instances"]]


@pytest.mark.parametrize(
    ("name", "on_demand", "spot"),
    [
        ("p2.xlarge", P, P_SPOT),
        ("p3dn.24xlarge", P, P_SPOT),
        ("p4de.24xlarge", P, P_SPOT),
        ("p5.48xlarge", P, P5_SPOT),
        ("p5en.48xlarge", P, P5_SPOT),
        ("p6-b200.48xlarge", P, ""),
        ("g4dn.xlarge", G, G_SPOT),
        ("gr6f.4xlarge", G, G_SPOT),
        ("g6e.xlarge", G, G_SPOT),
        ("vt1.3xlarge", G, G_SPOT),
        ("trn1.32xlarge", "L-2C3B7624", "L-6B0D517C"),
        ("inf2.xlarge", "L-1945791B", "L-B5D1601B"),
        ("dl1.24xlarge", "L-6E869C2A", "L-85EED4F7"),
        ("t3.large", "L-1216C47A", "L-34B43A08"),
        ("m7i.xlarge", "L-1216C47A", "L-34B43A08"),
        ("i7ie.xlarge", "L-1216C47A", "L-34B43A08"),
        ("mac2.metal", "", ""),
        ("u-6tb1.metal", "", ""),
        ("hpc7a.96xlarge", "", ""),
        ("nonsense", "", ""),
    ],
)
def test_each_family_has_its_code(name: str, on_demand: str, spot: str) -> None:
    assert (quota_code(name, Market.ON_DEMAND), quota_code(name, Market.SPOT)) == (on_demand, spot)


def test_every_type_of_the_table_has_a_family() -> None:
    assert [offer.instance_type for offer in rows("aws") if family_of(offer.instance_type) is None] == []


def test_the_line_that_asks_for_more() -> None:
    assert request_line(G, "eu-west-1", 12) == (
        "aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA"
        " --desired-value 12 --region eu-west-1"
    )


def test_what_runs_is_counted_against_the_limit(account: Account) -> None:
    run(account, "g4dn.2xlarge")
    run(account, "t3.large")
    ended = run(account, "g4dn.12xlarge")
    account.clients.ec2(REGION).terminate_instances(InstanceIds=ended)
    assert outlook_quota(account.clients, offer("g4dn.xlarge", 4)) == ("8 of 64 vCPU used", True)


@pytest.mark.parametrize(("vcpus", "enough"), [(56, True), (57, False)])
def test_a_machine_fits_to_the_last_vcpu(vcpus: int, enough: bool, account: Account) -> None:
    run(account, "g4dn.2xlarge")
    assert outlook_quota(account.clients, offer("g4dn.xlarge", vcpus)) == ("8 of 64 vCPU used", enough)


def test_spot_has_a_limit_of_its_own(account: Account) -> None:
    run(account, "g4dn.2xlarge")
    assert outlook_quota(account.clients, offer("g4dn.xlarge", 4, Market.SPOT)) == ("0 of 4 vCPU used", True)
    run(account, "g4dn.xlarge", InstanceMarketOptions={"MarketType": "spot"})
    assert outlook_quota(account.clients, offer("g4dn.xlarge", 4, Market.SPOT)) == ("4 of 4 vCPU used", False)


def test_a_machine_says_itself_how_many_it_has() -> None:
    cores = {"InstanceType": "g4dn.2xlarge", "CpuOptions": {"CoreCount": 4, "ThreadsPerCore": 1}}
    spot = {"InstanceType": "p5.4xlarge", "InstanceLifecycle": "spot"}
    assert count_vcpus([cores, cores, spot], {"p5.4xlarge": 16, "g4dn.2xlarge": 8}) == {G: 8, P5_SPOT: 16}


def test_a_limit_that_was_never_set_is_the_default(account: Account, stand_in: StandIn) -> None:
    stand_in.default_quotas = {P: 0}
    assert outlook_quota(account.clients, offer("p3.2xlarge", 8)) == ("0 of 0 vCPU used", False)


@pytest.mark.parametrize("operation", ["GetServiceQuota", "DescribeInstances"])
def test_what_cannot_be_found_out_does_not_stand_in_the_way(operation: str, account: Account, cloud: Cloud) -> None:
    cloud.fail(operation, "AccessDeniedException", times=9)
    assert outlook_quota(account.clients, offer("g4dn.xlarge", 400)) == ("", True)


def test_a_limit_of_unknown_code_is_not_asked_for(account: Account, cloud: Cloud) -> None:
    assert outlook_quota(account.clients, offer("p6-b200.48xlarge", 192, Market.SPOT)) == ("", True)
    assert cloud.calls == []


def test_an_offer_of_unknown_size_needs_a_vcpu(account: Account, stand_in: StandIn) -> None:
    stand_in.quotas[G] = 0
    assert outlook_quota(account.clients, offer("g7.2xlarge", 0)) == ("0 of 0 vCPU used", False)
