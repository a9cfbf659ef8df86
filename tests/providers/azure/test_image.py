"""Which image a machine boots from: listed, newest, of the second generation, without a plan."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cloudtrain.model.errors import NoCapacityError, PermissionDeniedError, ProviderError
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, SshSettings
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.image import find_image
from cloudtrain.providers.azure.translate import refused

from .answers import SUBSCRIPTION, Answers, denied
from .conftest import Cloud

VERSIONS = "Microsoft.Compute/locations/publishers/artifacttypes/offers/skus/versions/read"
MANAGED, GALLERY = "Microsoft.Compute/images/read", "Microsoft.Compute/galleries/images/read"
OWN = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/mine/providers/Microsoft.Compute"
HPC_24, HPC_22 = "microsoft-dsvm/ubuntu-hpc/2404", "microsoft-dsvm/ubuntu-hpc/2204"
UBUNTU = "Canonical/ubuntu-24_04-lts/server"

GOOD = {"hyperVGeneration": "V2", "architecture": "x64", "osDiskImage": {"operatingSystem": "Linux"}}


def not_found(path: str, code: str = "NotFound") -> ProviderError:
    return refused(VERSIONS, path, 404, {"error": {"code": code, "message": "Artifact: VMImage was not found."}})


class Marketplace(Answers):
    """Publishes versions by "publisher/offer/sku"; `properties` has what they are, by the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.published: dict[str, tuple[str, ...]] = {}
        self.properties: dict[str, Mapping[str, Any]] = {}
        self.by_act = {VERSIONS: self.shown}

    def shown(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        place = path.partition("/locations/eastus/publishers/")[2].replace("artifacttypes/vmimage/", "")
        publisher, _, product, _, sku, _, *version = place.split("/")
        name = f"{publisher}/{product}/{sku}"
        if name not in self.published:
            raise not_found(path)
        if not version:
            return {"value": [{"id": f"{path}/{each}", "name": each, "location": "eastus"} for each in self.published[name]]}
        if version[0] not in self.published[name]:
            raise not_found(path, "PlatformImageNotFound")
        return {
            "name": version[0],
            "properties": {**GOOD, **self.properties.get(name, {})},
        }


@pytest.fixture
def arm() -> Marketplace:
    made = Marketplace()
    made.published = {
        HPC_24: ("24.04.2026050501", "24.04.2026092201", "24.04.2025123101"),
        HPC_22: ("22.04.2026092201",),
        UBUNTU: ("24.04.202609100", "24.04.202610020"),
    }
    return made


@pytest.fixture
def gpu() -> Offer:
    return Offer("azure", "Standard_NC4as_T4_v3", "eastus", gpu="T4", gpu_count=1)


@pytest.fixture
def plain() -> Offer:
    return Offer("azure", "Standard_B2s", "eastus")


@pytest.fixture
def spec() -> MachineSpec:
    return MachineSpec("m", "azure")


def test_a_gpu_machine_boots_the_newest_ubuntu_hpc(arm: Marketplace, spec: MachineSpec, gpu: Offer) -> None:
    image = find_image(spec, gpu, arm)
    assert image.reference == {
        "publisher": "microsoft-dsvm",
        "offer": "ubuntu-hpc",
        "sku": "2404",
        "version": "24.04.2026092201",
    }
    assert (image.name, image.user, image.disk_gb) == ("microsoft-dsvm:ubuntu-hpc:2404:24.04.2026092201", "azureuser", 64)
    assert image.remark == ""


def test_a_version_is_newer_by_its_numbers(arm: Marketplace, spec: MachineSpec, gpu: Offer) -> None:
    arm.published[HPC_24] = ("9.4.1", "10.0.0", "9.10.0")
    assert find_image(spec, gpu, arm).reference["version"] == "10.0.0"


def test_where_the_newest_ubuntu_is_not_the_older_one_is(arm: Marketplace, spec: MachineSpec, gpu: Offer) -> None:
    del arm.published[HPC_24]
    assert find_image(spec, gpu, arm).reference["sku"] == "2204"
    arm.published[HPC_24] = ()
    assert find_image(spec, gpu, arm).reference["sku"] == "2204"


@pytest.mark.parametrize(
    "unusable",
    [
        {"plan": {"publisher": "p", "name": "n", "product": "o"}},
        {"hyperVGeneration": "V1"},
        {"architecture": "Arm64"},
        {"imageDeprecationStatus": {"imageState": "Deprecated"}},
        {"osDiskImage": {"operatingSystem": "Windows"}},
    ],
)
def test_what_cannot_be_used_is_passed_over(
    arm: Marketplace, spec: MachineSpec, gpu: Offer, unusable: Mapping[str, Any]
) -> None:
    arm.properties[HPC_24] = unusable
    assert find_image(spec, gpu, arm).reference["sku"] == "2204"


def test_a_machine_without_a_gpu_boots_canonical_s(arm: Marketplace, spec: MachineSpec, plain: Offer) -> None:
    image = find_image(spec, plain, arm)
    assert (image.name, image.disk_gb) == ("Canonical:ubuntu-24_04-lts:server:24.04.202610020", 30)


def test_a_disk_is_as_large_as_the_image_says(arm: Marketplace, spec: MachineSpec, plain: Offer) -> None:
    arm.properties[UBUNTU] = {"osDiskImage": {"operatingSystem": "Linux", "sizeInGb": 127}}
    assert find_image(spec, plain, arm).disk_gb == 127


def test_a_region_without_an_image_is_said_with_the_names(arm: Marketplace, spec: MachineSpec, gpu: Offer) -> None:
    arm.published.clear()
    with pytest.raises(
        NoCapacityError, match="eastus has no image for Standard_NC4as_T4_v3: none of microsoft-dsvm:ubuntu-hpc:2404"
    ):
        find_image(spec, gpu, arm)


def test_a_denied_question_is_no_missing_image(arm: Marketplace, spec: MachineSpec, gpu: Offer) -> None:
    arm.by_act[VERSIONS] = denied(VERSIONS)
    with pytest.raises(PermissionDeniedError):
        find_image(spec, gpu, arm)


def test_a10s_want_another_driver_and_a_person_is_told(arm: Marketplace, spec: MachineSpec, gpu: Offer) -> None:
    a10 = replace(gpu, instance_type="Standard_NV36ads_A10_v5", gpu="A10")
    image = find_image(spec, a10, arm)
    assert (image.reference["publisher"], image.wants_driver, image.disk_gb) == ("Canonical", True, 64)
    assert "installed at the first boot" in image.remark


@pytest.mark.parametrize("version", ["latest", "24.04.2026092201"])
def test_a_named_image_wins(arm: Marketplace, spec: MachineSpec, plain: Offer, version: str) -> None:
    named = replace(spec, image=f"microsoft-dsvm:ubuntu-hpc:2404:{version}", ssh=SshSettings(user="alice"))
    image = find_image(named, plain, arm)
    assert (image.name, image.user) == ("microsoft-dsvm:ubuntu-hpc:2404:24.04.2026092201", "alice")


def test_an_image_with_a_plan_is_refused_with_the_reason(arm: Marketplace, spec: MachineSpec, gpu: Offer) -> None:
    arm.published["nvidia/ngc/base"] = ("26.03.1",)
    arm.properties["nvidia/ngc/base"] = {"plan": {"publisher": "nvidia", "name": "base", "product": "ngc"}}
    with pytest.raises(ProviderError, match="The image nvidia:ngc:base:latest cannot be used: it is sold with a plan"):
        find_image(replace(spec, image="nvidia:ngc:base:latest"), gpu, arm)


@pytest.mark.parametrize("urn", ["nobody:nothing:none:latest", "microsoft-dsvm:ubuntu-hpc:2404:1.0.0"])
def test_a_named_image_that_is_not_there_is_said(arm: Marketplace, spec: MachineSpec, gpu: Offer, urn: str) -> None:
    with pytest.raises(ProviderError, match=f"eastus has no image {urn}") as raised:
        find_image(replace(spec, image=urn), gpu, arm)
    assert "az vm image list" in raised.value.hint


@pytest.mark.parametrize("name", ["ubuntu", "a:b:c", "/subscriptions/x/resourceGroups/y", "ami-0123"])
def test_what_names_no_image_is_said(arm: Marketplace, spec: MachineSpec, gpu: Offer, name: str) -> None:
    with pytest.raises(ProviderError, match="names no image") as raised:
        find_image(replace(spec, image=name), gpu, arm)
    assert "publisher:offer:sku:version" in raised.value.hint
    assert arm.asked == []


def test_an_image_of_one_s_own(arm: Marketplace, spec: MachineSpec, gpu: Offer) -> None:
    id = f"{OWN}/images/trained"
    disk = {"storageProfile": {"osDisk": {"osType": "Linux", "diskSizeGB": 80}}, "hyperVGeneration": "V2"}
    arm.by_act[MANAGED] = {"name": "trained", "properties": disk}
    image = find_image(replace(spec, image=id), gpu, arm)
    assert (image.reference, image.disk_gb, image.name) == ({"id": id}, 80, "trained")
    assert arm.asked == [(MANAGED, id, {})]


@pytest.mark.parametrize("version", ["", "/versions/1.2.3"])
def test_an_image_of_a_gallery(arm: Marketplace, spec: MachineSpec, plain: Offer, version: str) -> None:
    id = f"{OWN}/galleries/g/images/ours{version}"
    arm.by_act[GALLERY] = {"name": "ours", "properties": {"osType": "Linux", "hyperVGeneration": "V2", "architecture": "x64"}}
    image = find_image(replace(spec, image=id), plain, arm)
    assert (image.reference, image.disk_gb, image.name) == ({"id": id}, 30, "ours")
    assert arm.asked == [(GALLERY, f"{OWN}/galleries/g/images/ours", {})]


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"hyperVGeneration": "V1"}, "first generation"),
        ({"purchasePlan": {"name": "n"}}, "plan"),
        ({"osType": "Windows"}, "Windows"),
    ],
)
def test_an_own_image_that_cannot_be_used_is_refused(
    arm: Marketplace, spec: MachineSpec, gpu: Offer, properties: Mapping[str, Any], why: str
) -> None:
    arm.by_act[GALLERY] = {"properties": properties}
    with pytest.raises(ProviderError, match=f"/galleries/g/images/ours cannot be used: .*{why}"):
        find_image(replace(spec, image=f"{OWN}/galleries/g/images/ours"), gpu, arm)


def test_an_own_image_that_is_not_there_is_said(arm: Marketplace, spec: MachineSpec, gpu: Offer) -> None:
    arm.by_act[MANAGED] = not_found(f"{OWN}/images/gone", "ResourceNotFound")
    with pytest.raises(ProviderError, match=r"There is no image /subscriptions/.*/images/gone"):
        find_image(replace(spec, image=f"{OWN}/images/gone"), gpu, arm)


class TestOnThePretendCloud:
    """The same over TLS, each request and reply held to Microsoft's own models."""

    def test_the_newest_is_found(self, cloud: Cloud, account: Account, gpu: Offer, plain: Offer, spec: MachineSpec) -> None:
        assert find_image(spec, gpu, account.arm).name == "microsoft-dsvm:ubuntu-hpc:2404:24.04.2026092201"
        assert find_image(spec, plain, account.arm).name == "Canonical:ubuntu-24_04-lts:server:24.04.202609100"

    def test_what_is_named_is_looked_at(self, account: Account, gpu: Offer, spec: MachineSpec) -> None:
        for urn, why in {
            "nvidia:ngc_azure_17_11:ngc-base-version-26_3_1_gen2:latest": "sold with a plan",
            "Canonical:ubuntu-24_04-lts:server-gen1:latest": "first generation",
            "Canonical:ubuntu-24_04-lts:server:9.9.9": "has no image",
            "Nobody:nothing:none:latest": "has no image",
        }.items():
            with pytest.raises(ProviderError, match=why):
                find_image(replace(spec, image=urn), gpu, account.arm)
