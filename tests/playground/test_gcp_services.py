"""Prices, limits by family, identities, places and images, as the other services show them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from cloudtrain.testing.playground.gcp import GcpCloud
from cloudtrain.testing.playground.gcp.quotas import LIMITS, PROJECT_LIMITS

from .google_calls import ZONE, Google, Refused, refused

SKUS = "/v1/services/6F81-5844-456A/skus"
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


def price(sku: dict[str, Any]) -> float:
    money = sku["pricingInfo"][0]["pricingExpression"]["tieredRates"][0]["unitPrice"]
    return int(money["units"]) + money["nanos"] / 1e9


def skus(google: Google) -> list[dict[str, Any]]:
    found, token = [], ""
    while True:
        page = google.call("GET", SKUS, pageSize="200", **({"pageToken": token} if token else {}))
        found += page["skus"]
        token = page["nextPageToken"]
        if not token:
            return found


def test_a_machine_is_priced_by_its_parts(google: Google) -> None:
    iowa = {one["description"]: one for one in skus(google) if one["serviceRegions"] == ["us-central1"]}
    parts = {name: price(iowa[f"{name} running in Iowa"]) for name in ("G2 Instance Core", "G2 Instance Ram", "Nvidia L4 GPU")}
    assert 4 * parts["G2 Instance Core"] + 16 * parts["G2 Instance Ram"] + parts["Nvidia L4 GPU"] == pytest.approx(
        0.7068, abs=1e-3
    )
    spot = iowa["Nvidia L4 GPU attached to Spot Preemptible VMs running in Iowa"]
    assert (spot["category"]["usageType"], price(spot) < parts["Nvidia L4 GPU"]) == ("Preemptible", True)
    assert {one["category"]["usageType"] for one in iowa.values()} == {"OnDemand", "Preemptible", "Commit1Yr"}


def test_there_are_prices_of_one_service_in_one_currency(google: Google) -> None:
    with refused(404, "NOT_FOUND", "services/1"):
        google.call("GET", "/v1/services/1/skus")
    with refused(400, "INVALID_ARGUMENT", "USD only"):
        google.call("GET", SKUS, currencyCode="EUR")


def test_limits_of_newer_gpus_are_shown_by_family_and_region(gcp: GcpCloud, google: Google) -> None:
    gcp.set_quota("NVIDIA_H100", 0, ["us-central1"])
    gcp.set_quota("PREEMPTIBLE_NVIDIA_H100", 4, ["us-central1"])
    parent = f"/v1/projects/{gcp.project}/locations/global/services/compute.googleapis.com/quotaInfos"
    found = {info["quotaId"]: info for info in google.call("GET", parent)["quotaInfos"]}

    def limit(quota_id: str, region: str) -> list[str]:
        wanted = {"region": region, "gpu_family": "NVIDIA_H100"}
        return [one["details"]["value"] for one in found[quota_id]["dimensionsInfos"] if one["dimensions"] == wanted]

    assert limit("GPUS-PER-GPU-FAMILY-per-project-region", "us-central1") == ["0"]
    assert limit("GPUS-PER-GPU-FAMILY-per-project-region", "us-east1") == ["8"]
    assert limit("PREEMPTIBLE-GPUS-PER-GPU-FAMILY-per-project-region", "us-central1") == ["4"]
    one = google.call("GET", f"{parent}/GPUS-ALL-REGIONS-per-project")
    assert one["dimensionsInfos"] == [{"details": {"value": "32"}, "applicableLocations": ["global"]}]
    page = google.call("GET", parent, pageSize="3")
    assert (len(page["quotaInfos"]), "nextPageToken" in page) == (3, True)
    with refused(400, "INVALID_ARGUMENT", "filter"):
        google.call("GET", parent, filter="x")


def test_every_limit_has_a_name_that_google_has(google: Google) -> None:
    """The reply of regions.get and projects.get is held to the enumeration of metrics."""
    region = google.compute("GET", "regions/us-central1")
    assert {one["metric"] for one in region["quotas"]} == set(LIMITS)
    assert {one["metric"] for one in google.call("GET", f"/compute/v1/projects/{google.project}")["quotas"]} == set(
        PROJECT_LIMITS
    )


def test_sizes_and_gpus_are_where_they_are(google: Google) -> None:
    def names(kind: str, zone: str) -> set[str]:
        return {one["name"] for one in google.compute("GET", f"zones/{zone}/{kind}")["items"]}

    assert "a3-ultragpu-8g" in names("machineTypes", "us-central1-b") - names("machineTypes", ZONE)
    assert "nvidia-tesla-v100" in names("acceleratorTypes", ZONE) - names("acceleratorTypes", "us-east1-b")
    one = google.compute("GET", f"zones/{ZONE}/machineTypes/g2-standard-4")
    assert (one["guestCpus"], one["memoryMb"]) == (4, 16384)
    assert one["accelerators"] == [{"guestAcceleratorType": "nvidia-l4", "guestAcceleratorCount": 1}]
    items = google.compute("GET", "aggregated/machineTypes", filter="name=n1-ultramem-40", maxResults="500")["items"]
    assert items[f"zones/{ZONE}"]["machineTypes"][0]["deprecated"] == {"state": "DEPRECATED"}
    with refused(404, "notFound", "machineTypes/p3"):
        google.compute("GET", f"zones/{ZONE}/machineTypes/p3")


def test_the_newest_image_of_a_family_counts(google: Google) -> None:
    below = "/compute/v1/projects/deeplearning-platform-release/global/images"
    found = google.call("GET", f"{below}/family/common-cu129-ubuntu-2204-nvidia-580")
    assert (found["name"], found["diskSizeGb"]) == ("common-cu129-ubuntu-2204-nvidia-580-v20260626", "50")
    listed = google.call("GET", below, filter='family eq "common-.*"', orderBy="creationTimestamp desc")["items"]
    assert [one["deprecated"]["state"] for one in listed if "deprecated" in one] == ["DEPRECATED"]
    with refused(404, "notFound", "family/tf-latest"):
        google.call("GET", f"{below}/family/tf-latest")


def test_addresses_are_kept_until_they_are_given_back(google: Google) -> None:
    google.done(google.compute("POST", "regions/us-central1/addresses", {"name": "mine"}))
    items = google.compute("GET", "aggregated/addresses")["items"]
    assert items["regions/us-central1"]["addresses"][0]["status"] == "RESERVED"
    google.done(google.compute("DELETE", "regions/us-central1/addresses/mine"))
    with refused(404, "notFound"):
        google.compute("GET", "regions/us-central1/addresses/mine")


def test_a_service_accounts_file_gives_tokens_through_googles_own_library(
    gcp: GcpCloud, google: Google, tmp_path: Path
) -> None:
    file = tmp_path / "key.json"
    file.write_text(gcp.make_service_account("robot").key_file(f"{gcp.url}/token"))
    credentials = service_account.Credentials.from_service_account_file(str(file), scopes=SCOPES)
    credentials.refresh(Request())
    robot = Google(gcp.url, gcp.project, credentials.token)
    assert robot.compute("GET", "zones")["kind"] == "compute#zoneList"
    assert google.call("GET", "/tokeninfo", access_token=credentials.token)["email"] == credentials.service_account_email
    gcp.advance(3600)
    with refused(401, "authError"):
        robot.compute("GET", "zones")


def test_a_key_that_is_somebody_elses_gives_nothing(gcp: GcpCloud, tmp_path: Path) -> None:
    theirs = json.loads(gcp.make_service_account("robot").key_file(f"{gcp.url}/token"))
    theirs["private_key"] = json.loads(gcp.make_service_account("other").key_file(""))["private_key"]
    credentials = service_account.Credentials.from_service_account_info(theirs, scopes=SCOPES)
    with pytest.raises(Exception, match="Invalid JWT Signature"):
        credentials.refresh(Request())


def test_a_refresh_token_gives_a_token_when_it_is_known(gcp: GcpCloud) -> None:
    nobody = Google(gcp.url, gcp.project, token="")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = nobody.raw("POST", "/token", b"grant_type=refresh_token&refresh_token=playground", form)
    token = json.loads(answer.read())["access_token"]
    assert Google(gcp.url, gcp.project, token).compute("GET", "zones")
    with pytest.raises(Refused):
        nobody.raw("POST", "/token", b"grant_type=refresh_token&refresh_token=old", form)


def test_a_service_account_is_made_and_acted_as(gcp: GcpCloud, google: Google) -> None:
    below = f"/v1/projects/{gcp.project}/serviceAccounts"
    made = google.call("POST", below, {"accountId": "run-1234", "serviceAccount": {"displayName": "a run"}})
    assert made["email"] == f"run-1234@{gcp.project}.iam.gserviceaccount.com"
    with refused(409, "ALREADY_EXISTS"):
        google.call("POST", below, {"accountId": "run-1234"})
    with refused(400, "INVALID_ARGUMENT", "6 to 30"):
        google.call("POST", below, {"accountId": "run"})
    name = f"/v1/projects/-/serviceAccounts/{made['email']}"
    token = google.call("POST", f"{name}:generateAccessToken", {"scope": SCOPES})["accessToken"]
    assert Google(gcp.url, gcp.project, token).compute("GET", "zones")
    signed = google.call("POST", f"{name}:signBlob", {"payload": base64.b64encode(b"text").decode()})
    assert gcp.account.identities[made["email"]].has_signed(b"text", base64.b64decode(signed["signedBlob"]))
    google.call("DELETE", f"{below}/{made['email']}")
    with refused(404, "NOT_FOUND", made["email"]):
        google.call("GET", f"{below}/{made['email']}")


def test_service_accounts_are_described_in_few_words_and_listed_by_page(gcp: GcpCloud, google: Google) -> None:
    below = f"/v1/projects/{gcp.project}/serviceAccounts"
    for about in ({"displayName": "x" * 101}, {"description": "ü" * 129}):
        with refused(400, "INVALID_ARGUMENT", "too long"):
            google.call("POST", below, {"accountId": "run-1234", "serviceAccount": about})
    google.call("POST", below, {"accountId": "run-1234", "serviceAccount": {"description": "a run"}})
    for name in ("run-2345", "run-3456"):
        gcp.make_service_account(name)
    first = google.call("GET", below, pageSize="2")
    second = google.call("GET", below, pageSize="2", pageToken=first["nextPageToken"])
    names = [one["email"].partition("@")[0] for one in first["accounts"] + second["accounts"]]
    assert (names, first["accounts"][0]["description"], "nextPageToken" in second) == (
        ["run-1234", "run-2345", "run-3456"],
        "a run",
        False,
    )


def test_whether_the_project_pays_and_what_is_switched_on(gcp: GcpCloud, google: Google) -> None:
    assert google.call("GET", f"/v1/projects/{gcp.project}/billingInfo")["billingEnabled"] is True
    gcp.account.has_billing = False
    assert google.call("GET", f"/v1/projects/{gcp.project}/billingInfo")["billingEnabled"] is False
    gcp.account.disabled_services = {"tpu.googleapis.com"}
    assert google.call("GET", f"/v1/projects/{gcp.project}/services/tpu.googleapis.com")["state"] == "DISABLED"
    on = google.call("GET", f"/v1/projects/{gcp.project}/services", filter="state:ENABLED")["services"]
    assert "tpu.googleapis.com" not in {one["config"]["name"] for one in on}
    assert google.call("GET", f"/v3/projects/{gcp.project}")["state"] == "ACTIVE"
    assert google.call("GET", f"/v1/projects/{gcp.project}")["lifecycleState"] == "ACTIVE"
