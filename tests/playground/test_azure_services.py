"""What the pretend Azure tells of itself, what it costs, and where data may lie."""

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest

from cloudtrain.testing.playground.azure import AzureCloud

from .arm_calls import AUTHORIZATION, Arm, Refused, refused

SKUS, STORAGE, SUBSCRIPTIONS = "2021-07-01", "2023-05-01", "2022-12-01"
IMAGES = "/providers/Microsoft.Compute/locations/eastus/publishers"


def prices(arm: Arm, wanted: str, url: str = "") -> list[dict[str, Any]]:
    """Return every price that a filter lets through, over all pages."""
    arm.token = ""  # nobody needs one
    answer = arm.raw("GET", url or f"{arm.cloud.prices_url}?$filter={quote(wanted)}").body
    more = answer["NextPageLink"]
    return answer["Items"] + (prices(arm, wanted, more) if more else [])


def test_a_size_has_its_price_and_its_spot_price(arm: Arm) -> None:
    wanted = "armRegionName eq 'eastus' and armSkuName eq 'Standard_NC4as_T4_v3' and priceType eq 'Consumption'"
    found = {(item["productName"], item["meterName"]): item["retailPrice"] for item in prices(arm, wanted)}
    series = "Virtual Machines Standard NCASv3_T4 Series"
    assert found[series, "NC4as T4 v3"] == 0.526
    assert found[series, "NC4as T4 v3 Spot"] == 0.149174
    assert found[f"{series} Windows", "NC4as T4 v3"] > 0.526
    assert found[f"{series} Dedicated Host", "NC4as T4 v3"] == 0


def test_prices_come_in_pages(arm: Arm, azure: AzureCloud) -> None:
    wanted = (
        "armRegionName eq 'westus2' and (armSkuName eq 'Standard_B2s' or armSkuName eq 'Standard_NC6s_v3') and retailPrice gt 0"
    )
    whole = prices(arm, wanted)
    azure.set_price_page(2)
    azure.forget_calls()
    assert prices(arm, wanted) == whole
    assert [call.name for call in azure.calls()] == ["Retail:prices/LIST"] * ((len(whole) + 1) // 2)
    assert {item["armSkuName"] for item in whole} == {"Standard_B2s", "Standard_NC6s_v3"}


def test_a_filter_that_cannot_be_read(arm: Arm, azure: AzureCloud) -> None:
    assert arm.raw("GET", f"{azure.prices_url}?$filter=price%20is%20nice").body["error"]["code"] == "InvalidFilter"


def test_skus_say_what_is_not_to_be_had(arm: Arm) -> None:
    def skus(location: str) -> dict[str, Any]:
        found = arm.get("/providers/Microsoft.Compute/skus", SKUS, **{"$filter": f"location eq '{location}'"})["value"]
        return {one["name"]: one for one in found if one["resourceType"] == "virtualMachines"}

    here, there = skus("eastus")["Standard_NC40ads_H100_v5"], skus("westeurope")["Standard_NC40ads_H100_v5"]
    assert here["restrictions"] == []
    assert there["restrictions"][0]["reasonCode"] == "NotAvailableForSubscription"
    capabilities = {one["name"]: one["value"] for one in here["capabilities"]}
    assert (capabilities["vCPUs"], capabilities["GPUs"], capabilities["MemoryGB"]) == ("40", "1", "320")
    assert "Standard_NC6s_v3" not in skus("eastus")


def test_usages_write_families_in_their_own_way(arm: Arm) -> None:
    names = [one["name"]["value"] for one in arm.get("/providers/Microsoft.Compute/locations/eastus/usages")["value"]]
    assert names[:2] == ["cores", "lowPriorityCores"]
    assert "standardNCASv3_T4Family" in names
    with refused("NoRegisteredProviderFound"):
        arm.get("/providers/Microsoft.Compute/locations/moon/usages")


def test_images_have_publishers_offers_skus_and_versions(arm: Arm) -> None:
    offers = f"{IMAGES}/microsoft-dsvm/artifacttypes/vmimage/offers"
    assert "microsoft-dsvm" in [one["name"] for one in arm.get(IMAGES)]
    assert [one["name"] for one in arm.get(offers)] == ["ubuntu-hpc"]
    assert [one["name"] for one in arm.get(f"{offers}/ubuntu-hpc/skus")] == ["2204", "2404"]
    versions = arm.get(f"{offers}/ubuntu-hpc/skus/2204/versions", **{"$orderby": "name desc", "$top": "1"})
    assert [one["name"] for one in versions] == ["22.04.2026092201"]
    one = arm.get(f"{offers}/ubuntu-hpc/skus/2204/versions/22.04.2026092201")["properties"]
    assert (one["hyperVGeneration"], one["osDiskImage"]["operatingSystem"]) == ("V2", "Linux")
    with refused("PlatformImageNotFound"):
        arm.get(f"{offers}/ubuntu-hpc/skus/2204/versions/1.0.0")


def test_the_subscription_and_its_places(arm: Arm, azure: AzureCloud) -> None:
    assert arm.get(arm.root, SUBSCRIPTIONS)["state"] == "Enabled"
    assert [one["name"] for one in arm.get("/locations", SUBSCRIPTIONS)["value"]] == [
        "eastus",
        "southcentralus",
        "westus2",
        "westeurope",
    ]
    whole = arm.raw("GET", f"{azure.url}/subscriptions?api-version={SUBSCRIPTIONS}").body["value"]
    assert [one["subscriptionId"] for one in whole] == [azure.subscription]


BLOCK_BLOB = {"x-ms-blob-type": "BlockBlob"}


@pytest.fixture
def store(arm: Arm, azure: AzureCloud) -> str:
    """An account with a container; its address."""
    arm.call("PUT", "/resourcegroups/g", {"location": "eastus", "tags": {"cloudtrain-owner": "me"}}, "2022-09-01")
    account = {"location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {}}
    path = "/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/mine"
    made = arm.call("PUT", path, account, STORAGE).body
    arm.token = arm.log_in("https://storage.azure.com/.default")
    root = str(made["properties"]["primaryEndpoints"]["blob"])
    assert arm.raw("PUT", f"{root}data?restype=container").status == 201
    return root


def test_blobs_are_put_read_in_parts_and_listed(arm: Arm, store: str) -> None:
    put = arm.raw("PUT", f"{store}data/a/b.txt", b"0123456789", {**BLOCK_BLOB, "x-ms-meta-mtime": "100.5"})
    assert put.status == 201
    assert arm.raw("GET", f"{store}data/a/b.txt").content == b"0123456789"
    part = arm.raw("GET", f"{store}data/a/b.txt", headers={"x-ms-range": "bytes=2-4"})
    assert (part.status, part.content, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    head = arm.raw("HEAD", f"{store}data/a/b.txt")
    assert (head.headers["Content-Length"], head.headers["ETag"]) == ("10", put.headers["ETag"])
    assert head.headers["x-ms-meta-mtime"] == "100.5"
    for block in ("QQ==", "Qg=="):
        arm.raw("PUT", f"{store}data/big?comp=block&blockid={block}", block.encode())
    blocks = b"<BlockList><Latest>QQ==</Latest><Latest>Qg==</Latest></BlockList>"
    assert arm.raw("PUT", f"{store}data/big?comp=blocklist", blocks).status == 201
    assert arm.raw("GET", f"{store}data/big").content == b"QQ==Qg=="
    first = arm.raw("GET", f"{store}data?restype=container&comp=list&maxresults=1").content.decode()
    assert "<Name>a/b.txt</Name>" in first
    assert "<NextMarker>big</NextMarker>" in first
    rest = arm.raw("GET", f"{store}data?restype=container&comp=list&marker=big").content.decode()
    assert "<Name>big</Name>" in rest
    assert "a/b.txt" not in rest
    assert arm.raw("DELETE", f"{store}data/big").status == 202
    assert arm.raw("GET", f"{store}data/big").status == 404


def test_blobs_have_conditions_and_rights(arm: Arm, azure: AzureCloud, store: str) -> None:
    once = {"If-None-Match": "*", **BLOCK_BLOB}
    assert arm.raw("PUT", f"{store}data/x", b"1").headers["x-ms-error-code"] == "MissingRequiredHeader"
    assert arm.raw("PUT", f"{store}data/x", b"1", once).status == 201
    assert arm.raw("PUT", f"{store}data/x", b"2", once).headers["x-ms-error-code"] == "BlobAlreadyExists"
    assert arm.raw("PUT", f"{store}data/x", b"2", {"If-Match": '"other"', **BLOCK_BLOB}).status == 412
    assert arm.raw("PUT", f"{store}data?restype=container").headers["x-ms-error-code"] == "ContainerAlreadyExists"
    assert arm.raw("GET", f"{store}none/x").headers["x-ms-error-code"] == "ContainerNotFound"
    arm.token = ""
    assert arm.raw("GET", f"{store}data/x").status == 401
    assert arm.raw("GET", f"{store}data/x?sp=r&sig=abc&se=2026-11-21T13:00:00Z").status == 403
    arm.token = azure._router.entra.give("stranger", "https://storage.azure.com")
    assert arm.raw("GET", f"{store}data/x").headers["x-ms-error-code"] == "AuthorizationPermissionMismatch"


def signed(arm: Arm, store: str, blob: str, rights: str = "r") -> str:
    """Return a link to a blob, signed as learn.microsoft.com says."""
    body = b"<KeyInfo><Start>2026-11-21T12:00:00Z</Start><Expiry>2026-11-21T13:00:00Z</Expiry></KeyInfo>"
    answer = arm.raw("POST", f"{store}?restype=service&comp=userdelegationkey", body, {"x-ms-version": "2020-12-06"})
    key = {child.tag: child.text or "" for child in ElementTree.fromstring(answer.content)}
    end, version = "2026-11-21T12:30:00Z", "2020-12-06"
    words = [rights, "", end, f"/blob/mine/data/{blob}", key["SignedOid"], key["SignedTid"], key["SignedStart"]]
    words += [key["SignedExpiry"], key["SignedService"], key["SignedVersion"], "", "", "", "", "https", version, "b"]
    text = "\n".join([*words, *[""] * 7]).encode()
    sign = base64.b64encode(hmac.new(base64.b64decode(key["Value"]), text, hashlib.sha256).digest()).decode()
    query = {"sp": rights, "se": end, "spr": "https", "sv": version, "sr": "b", "sig": sign}
    query |= {"skoid": key["SignedOid"], "sktid": key["SignedTid"], "skt": key["SignedStart"], "ske": key["SignedExpiry"]}
    query |= {"sks": key["SignedService"], "skv": key["SignedVersion"]}
    return f"{store}data/{blob}?{urlencode(query)}"


def test_a_link_is_good_for_what_it_was_signed_for(arm: Arm, azure: AzureCloud, store: str) -> None:
    arm.raw("PUT", f"{store}data/x", b"1", BLOCK_BLOB)
    arm.raw("PUT", f"{store}data/y", b"2", BLOCK_BLOB)
    link = signed(arm, store, "x")
    arm.token = ""
    assert arm.raw("GET", link).content == b"1"
    assert arm.raw("GET", link.replace("/data/x", "/data/y")).headers["x-ms-error-code"] == "AuthenticationFailed"
    assert arm.raw("PUT", link, b"3").headers["x-ms-error-code"] == "AuthorizationPermissionMismatch"
    assert arm.raw("GET", link.replace("sp=r", "sp=rw")).status == 403
    azure.account.denied = {"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"}
    assert arm.raw("GET", link).headers["x-ms-error-code"] == "AuthorizationPermissionMismatch"
    azure.account.denied = set()
    azure.advance(1801)
    assert arm.raw("GET", link).headers["x-ms-error-code"] == "AuthenticationFailed"


def test_a_key_is_good_for_a_week_at_most(arm: Arm, store: str) -> None:
    body = b"<KeyInfo><Start>2026-11-21T12:00:00Z</Start><Expiry>2026-11-29T13:00:00Z</Expiry></KeyInfo>"
    answer = arm.raw("POST", f"{store}?restype=service&comp=userdelegationkey", body)
    assert answer.headers["x-ms-error-code"] == "InvalidXmlNodeValue"
    assert arm.raw("POST", f"{store}?restype=service&comp=userdelegationkey", b"what?").status == 400


def test_an_account_goes_with_its_blobs(arm: Arm, azure: AzureCloud, store: str) -> None:
    arm.token = arm.log_in()
    path = "/resourceGroups/g/providers/Microsoft.Storage/storageAccounts"
    assert [one["name"] for one in arm.get(path, STORAGE)["value"]] == ["mine"]
    arm.call("DELETE", f"{path}/mine", api=STORAGE)
    arm.token = arm.log_in("https://storage.azure.com/.default")
    assert arm.raw("GET", f"{store}data?restype=container&comp=list").status == 404


def test_a_container_is_a_resource_that_a_role_can_be_given_on(arm: Arm, azure: AzureCloud, store: str) -> None:
    path = "/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/mine/blobServices/default/containers"
    arm.token = arm.log_in()
    shown = arm.get(f"{path}/data", STORAGE)
    assert (shown["name"], shown["id"]) == ("data", f"{arm.root}{path}/data")
    with pytest.raises(Refused) as raised:
        arm.get(f"{path}/other", STORAGE)
    assert (raised.value.status, raised.value.code) == (404, "ContainerNotFound")
    role = f"{arm.root}/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    given = {"roleDefinitionId": role, "principalId": "machine-1", "principalType": "ServicePrincipal", "description": "why"}
    right = f"{path}/data/providers/Microsoft.Authorization/roleAssignments/33333333-3333-4333-8333-333333333333"
    azure.durations.role = 60
    arm.call("PUT", right, {"properties": given}, AUTHORIZATION)
    everywhere = arm.get("/providers/Microsoft.Authorization/roleAssignments", AUTHORIZATION)["value"]
    assert [(one["id"], one["properties"]["description"]) for one in everywhere] == [(f"{arm.root}{right}", "why")]
    arm.token = azure._router.entra.give("machine-1", "https://storage.azure.com")
    assert arm.raw("PUT", f"{store}data/x", b"1", BLOCK_BLOB).headers["x-ms-error-code"] == "AuthorizationPermissionMismatch"
    azure.advance(61)
    assert arm.raw("PUT", f"{store}data/x", b"1", BLOCK_BLOB).status == 201
    assert arm.raw("GET", f"{store}data?restype=container&comp=list").status == 200
    assert arm.raw("PUT", f"{store}more?restype=container").headers["x-ms-error-code"] == "AuthorizationPermissionMismatch"


def test_what_is_ordered_is_refused_in_the_services_own_form(arm: Arm, azure: AzureCloud, store: str) -> None:
    azure.faults.add("Storage", "blobs/PUT", code="ServerBusy", http=503)
    refusal = arm.raw("PUT", f"{store}data/x", b"1")
    assert (refusal.status, refusal.headers["x-ms-error-code"]) == (503, "ServerBusy")
    azure.faults.add("Entra", "token", code="invalid_client", http=401, message="AADSTS7000222: it has expired")
    answer = arm.raw("POST", f"{azure.url}/{azure.account.tenant}/oauth2/v2.0/token", b"")
    assert answer.body == {"error": "invalid_client", "error_description": "AADSTS7000222: it has expired"}
