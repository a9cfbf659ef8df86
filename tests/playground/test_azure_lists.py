"""What the pretend Azure lists of a whole subscription: page by page, and of machines either what they are or what they do."""

import pytest

from cloudtrain.testing.playground.azure import AzureCloud

from .arm_calls import NETWORK, Arm, Refused, vm

MACHINES = "/providers/Microsoft.Compute/virtualMachines"
ADDRESSES = "/providers/Microsoft.Network/publicIPAddresses"


def test_machines_are_listed_without_what_they_do_and_their_group_in_capitals(arm: Arm) -> None:
    arm.create()
    [whole] = arm.get(MACHINES)["value"]
    one = arm.get(vm())
    assert whole == {**one, "id": one["id"].replace("/resourceGroups/g/", "/resourceGroups/G/")}
    assert whole["id"] != one["id"]
    assert "instanceView" not in whole["properties"]


def test_what_machines_do_is_listed_with_little_else(arm: Arm) -> None:
    arm.create()
    [whole], [view] = arm.get(MACHINES)["value"], arm.get(MACHINES, statusOnly="true")["value"]
    assert view["id"] == whole["id"]
    assert [one["code"] for one in view["properties"]["instanceView"]["statuses"]] == [
        "ProvisioningState/succeeded",
        "PowerState/running",
    ]
    assert sorted(view) == ["id", "location", "name", "properties", "type"]
    assert sorted(view["properties"]) == ["instanceView", "vmId"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"$expand": "instanceView"}, "$expand"),
        ({"statusOnly": "statusOnly"}, "statusOnly"),
        ({"$skiptoken": "elsewhere"}, "$skiptoken"),
        ({"$top": "5"}, "$top"),
    ],
)
def test_what_a_list_of_machines_does_not_take_is_refused(arm: Arm, query: dict[str, str], named: str) -> None:
    with pytest.raises(Refused, match=r"parameter|option") as refusal:
        arm.get(MACHINES, **query)
    assert refusal.value.status == 400
    assert named in refusal.value.message


def test_a_list_is_read_page_by_page(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    made = {f"address-{number}" for number in range(4)}
    for name in made:
        body = {"location": "eastus", "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}}
        arm.call("PUT", f"/resourceGroups/g{ADDRESSES}/{name}", body, NETWORK)
    azure.account.page_size = 2
    page, found, pages = arm.get(ADDRESSES, NETWORK), [], 1
    while "nextLink" in page:
        found += page["value"]
        assert len(page["value"]) == 2
        page, pages = arm.raw("GET", page["nextLink"]).body, pages + 1
    found += page["value"]
    assert pages == 3
    assert made | {"address"} == {address["name"] for address in found}
    assert len(found) == 5
