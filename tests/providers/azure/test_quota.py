"""The subscription's limits: family, region and spot, in whatever spelling, against what a machine needs."""

import pytest

from cloudtrain.model.errors import ProviderUnavailableError
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Market
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.quota import Limit, limits, outlook_quota, plain, request_line

from .answers import GPU, Answers, denied, sku, usage
from .conftest import Cloud

SKUS, USAGES = "Microsoft.Compute/skus/read", "Microsoft.Compute/locations/usages/read"
T4 = "Standard_NC4as_T4_v3"
FAMILY = "Standard NCASv3_T4 Family"


@pytest.fixture
def offer() -> Offer:
    return Offer("azure", T4, "eastus", vcpus=4, gpu="T4", gpu_count=1)


@pytest.fixture
def spot() -> Offer:
    return Offer("azure", T4, "eastus", Market.SPOT, vcpus=4, gpu="T4", gpu_count=1)


@pytest.fixture
def arm() -> Answers:
    return Answers(
        {
            SKUS: {"value": [sku(T4, 4, 28, FAMILY, capabilities=GPU)]},
            USAGES: {
                "value": [
                    usage("cores", 6, 100, "Total Regional vCPUs"),
                    usage("lowPriorityCores", 1, 3, "Total Regional Low-priority vCPUs"),
                    usage("standardDSv5Family", 6, 100),
                    usage("standardNCASv3_T4Family", 4, 24, f"{FAMILY} vCPUs"),
                ]
            },
        }
    )


@pytest.mark.parametrize("name", ["Standard NCASv3_T4 Family", "StandardNCASv3_T4Family", "standardNCASv3_T4Family"])
def test_names_are_one_whatever_their_capitals_and_spaces(name: str) -> None:
    assert plain(name) == "standardncasv3_t4family"


def test_a_machine_counts_in_its_family_and_in_its_region(arm: Answers, offer: Offer) -> None:
    family, region = limits(arm, offer)
    assert (family.name, family.limit, family.used, family.need, family.is_enough) == (
        "standardNCASv3_T4Family",
        24,
        4,
        4,
        True,
    )
    assert (region.name, region.limit, region.used, region.need, region.is_enough) == ("cores", 100, 6, 4, True)
    assert outlook_quota(arm, offer) == (f"4 of 24 {FAMILY} vCPUs used in eastus", True)
    assert arm.below("providers/Microsoft.Compute/locations/eastus/usages") in [path for _, path, _ in arm.asked]


def test_a_spot_machine_counts_in_the_one_that_all_share(arm: Answers, spot: Offer) -> None:
    [limit] = limits(arm, spot)
    assert (limit.name, limit.limit, limit.used, limit.is_enough) == ("lowPriorityCores", 3, 1, False)
    assert outlook_quota(arm, spot) == ("1 of 3 Total Regional Low-priority vCPUs used in eastus, 4 needed", False)
    assert SKUS not in arm.named()


@pytest.mark.parametrize(
    ("family", "region", "told"),
    [((24, 24), (0, 100), "24 of 24 Fam"), ((0, 24), (98, 100), "98 of 100 cores"), ((0, 0), (0, 100), "0 of 0 Fam")],
)
def test_both_must_fit(arm: Answers, offer: Offer, family: tuple[int, int], region: tuple[int, int], told: str) -> None:
    arm.by_act[USAGES] = {"value": [usage("cores", *region), usage("STANDARD NCASv3_T4 family", *family, "Fam")]}
    words, is_enough = outlook_quota(arm, offer)
    assert not is_enough
    assert words == f"{told} used in eastus, 4 needed"


def test_the_last_that_fits_fits(arm: Answers, offer: Offer) -> None:
    arm.by_act[USAGES] = {"value": [usage("cores", 96, 100), usage("standardNCASv3_T4Family", 20, 24, "F")]}
    assert outlook_quota(arm, offer) == ("20 of 24 F used in eastus", True)
    arm.by_act[USAGES] = {"value": [usage("cores", 97, 100), usage("standardNCASv3_T4Family", 21, 24, "F")]}
    words, _ = outlook_quota(arm, offer)
    assert words == "21 of 24 F used in eastus, 4 needed; 97 of 100 cores used in eastus, 4 needed"


def test_a_limit_that_azure_does_not_list_binds_nobody(arm: Answers, offer: Offer) -> None:
    arm.by_act[USAGES] = {"value": [usage("cores", 0, 100)]}
    assert [limit.name for limit in limits(arm, offer)] == ["cores"]
    arm.by_act[SKUS] = {"value": []}
    assert [limit.name for limit in limits(arm, offer)] == ["cores"]


@pytest.mark.parametrize("failing", [SKUS, USAGES])
@pytest.mark.parametrize("error", [denied(SKUS), ProviderUnavailableError("no answer")])
def test_what_cannot_be_found_out_fits(arm: Answers, offer: Offer, failing: str, error: Exception) -> None:
    arm.by_act[failing] = error
    assert outlook_quota(arm, offer) == ("", True)


def test_more_is_asked_for_where_azure_wants_it() -> None:
    line = request_line(Limit("cores", "Total Regional vCPUs", "eastus", 10, 8, 4), "https://portal.azure.us")
    assert line.startswith("Ask for 12: https://portal.azure.us/#view/Microsoft_Azure_Capacity/")
    assert "Total Regional vCPUs" in line
    assert "eastus" in line


@pytest.mark.parametrize("market", Market)
def test_on_the_pretend_cloud(cloud: Cloud, account: Account, offer: Offer, spot: Offer, market: Market) -> None:
    wanted = spot if market is Market.SPOT else offer
    assert outlook_quota(account.arm, wanted)[1]
    cloud.azure.set_quota("lowPriorityCores" if market is Market.SPOT else "standardNCASv3_T4Family", 3)
    words, is_enough = outlook_quota(account.arm, wanted)
    assert not is_enough
    assert words.startswith("0 of 3 ")
