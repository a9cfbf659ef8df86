"""Which image a machine boots from: the newest version of a publisher's image, found by listing, never an id of ours."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...model.errors import NoCapacityError, ProviderError
from ...model.offer import Offer
from ...model.spec import MachineSpec
from .arm import Arm
from .retail_prices import CPU_IMAGE_GIB, GPU_IMAGE_GIB
from .translate import code_of, is_absent
from .versions import COMPUTE

AUTO = "auto"
ADMIN = "azureuser"
"""Who logs in: Azure's machines get the account they are ordered with."""

GALLERY_API = "2024-03-03"

READ_IMAGE = "Microsoft.Compute/locations/publishers/artifacttypes/offers/skus/versions/read"
READ_OWN_IMAGE = "Microsoft.Compute/images/read"
READ_GALLERY = "Microsoft.Compute/galleries/images/read"

_HPC = (("microsoft-dsvm", "ubuntu-hpc", "2404"), ("microsoft-dsvm", "ubuntu-hpc", "2204"))
"""Microsoft's Ubuntu with NVIDIA's driver on it."""

_PLAIN = (("Canonical", "ubuntu-24_04-lts", "server"), ("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2"))

_URN = re.compile(r"([^:/]+):([^:/]+):([^:/]+):([^:/]+)")
_OWN = re.compile(r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute/images/[^/]+", re.IGNORECASE)
_GALLERY = re.compile(
    r"(/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute/galleries/[^/]+/images/[^/]+)(/versions/[^/]+)?",
    re.IGNORECASE,
)
_FORMS = "publisher:offer:sku:version (version may be latest), or the id of an image of yours (/subscriptions/…)"

BROUGHT = ("A10",)
"""GPUs that Azure hands out through a hypervisor of NVIDIA's, whole ones too. Their driver, named GRID, is on no image;
Microsoft's extension `NvidiaGpuDriverLinux` brings it (azhpc-extensions' table of 2024-12-13)."""

_BROUGHT_REMARK = "its NVIDIA driver is installed at the first boot, which takes about ten minutes more"
_REMARKS = {
    "RTXPRO6000": "its NVIDIA driver is not the GRID driver that this GPU wants on Azure: name an image of yours that has it"
}


@dataclass(frozen=True, slots=True)
class Image:
    """An image, as far as a launch needs it.

    Attributes:
        reference: as a machine's storage profile names it.
        disk_gb: the smallest boot disk it fits on, GiB.
        user: who logs in.
        remark: what a person should know of it before money is spent, or "".
        wants_driver: it has none for the GPU, and is to be brought one.
    """

    reference: Mapping[str, str]
    disk_gb: int
    user: str
    name: str
    remark: str = ""
    wants_driver: bool = False


def find_image(machine: MachineSpec, offer: Offer, arm: Arm) -> Image:
    """Return the image a machine of this offer would boot from.

    The config's `image` is "auto", "publisher:offer:sku:version" or an image's id.

    Raises:
        NoCapacityError: Azure publishes no image there that would do.
        ProviderError: there is no such image, it cannot be used, or it cannot be asked for.
    """
    wanted, user = machine.image, machine.ssh.user or ADMIN
    if wanted == AUTO:
        if offer.gpu in BROUGHT:
            return replace(_newest(_PLAIN, offer, user, arm), remark=_BROUGHT_REMARK, wants_driver=True)
        return _newest(_HPC if offer.gpu else _PLAIN, offer, user, arm)
    urn = _URN.fullmatch(wanted)
    if urn is not None:
        return _published(urn.groups(), offer, user, arm)
    if _OWN.fullmatch(wanted) or _GALLERY.fullmatch(wanted):
        return _owned(wanted, offer, user, arm)
    raise ProviderError(f"{wanted!r} names no image on Azure", f"Write one of: {_FORMS}; or leave image out.")


def _newest(skus: Sequence[tuple[str, str, str]], offer: Offer, user: str, arm: Arm) -> Image:
    """Return the newest version of the first of these that the region has and a machine may boot from."""
    for sku in skus:
        version = _latest(sku, offer.region, arm)
        found = _shown((*sku, version), offer.region, arm) if version else None
        if found is not None and not _why_unusable(found):
            return _image((*sku, version), found, offer, user, _REMARKS.get(offer.gpu, ""))
    names = ", ".join(":".join(sku) for sku in skus)
    raise NoCapacityError(
        f"{offer.region} has no image for {offer.instance_type}: none of {names}",
        f"Name one in the machine config: image: {_FORMS}",
    )


def _published(urn: Sequence[str], offer: Offer, user: str, arm: Arm) -> Image:
    """Return an image of the marketplace that a person named."""
    publisher, product, sku, version = urn
    exact = _latest((publisher, product, sku), offer.region, arm) if version == "latest" else version
    found = _shown((publisher, product, sku, exact), offer.region, arm) if exact else None
    if found is None:
        raise ProviderError(
            f"{offer.region} has no image {':'.join(urn)}",
            f"See: az vm image list --all --location {offer.region} --publisher {publisher} --output table",
        )
    why = _why_unusable(found)
    if why:
        raise ProviderError(f"The image {':'.join(urn)} cannot be used: {why}", "Name another one, or leave image out.")
    return _image((publisher, product, sku, exact), found, offer, user)


def _owned(id: str, offer: Offer, user: str, arm: Arm) -> Image:
    """Return an image of somebody's own: a managed one, or one of a gallery."""
    gallery = _GALLERY.fullmatch(id)
    act, path, api = (READ_GALLERY, gallery[1], GALLERY_API) if gallery else (READ_OWN_IMAGE, id, COMPUTE)
    try:
        found = arm.call(act, "GET", path, api=api)
    except ProviderError as error:
        if _is_unknown(error):
            raise ProviderError(f"There is no image {id}", "Correct image in the machine config, or leave it out.") from error
        raise
    why = _why_unusable(found)
    if why:
        raise ProviderError(f"The image {id} cannot be used: {why}", "Name another one, or leave image out.")
    disk = found.get("properties", {}).get("storageProfile", {}).get("osDisk", {})
    return Image({"id": id}, int(disk.get("diskSizeGB") or _assumed_gib(offer)), user, path.rpartition("/")[2])


def _latest(sku: Sequence[str], region: str, arm: Arm) -> str:
    """Return the newest version of a SKU in a region, "" where there is none."""
    try:
        listed = [str(each.get("name", "")) for each in arm.pages(READ_IMAGE, _path(sku, region, arm), api=COMPUTE)]
    except ProviderError as error:
        if _is_unknown(error):
            return ""
        raise
    return max(listed, key=_age, default="")


def _age(version: str) -> tuple[int, ...]:
    """Return a version so that a newer one is greater: they are numbers between dots."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _shown(urn: Sequence[str], region: str, arm: Arm) -> Mapping[str, Any] | None:
    *sku, version = urn
    try:
        return arm.call(READ_IMAGE, "GET", f"{_path(sku, region, arm)}/{version}", api=COMPUTE)
    except ProviderError as error:
        if _is_unknown(error):
            return None
        raise


def _is_unknown(error: ProviderError) -> bool:
    return is_absent(error) or code_of(error) in ("ImageNotFound", "PlatformImageNotFound", "ArtifactNotFound")


def _path(sku: Sequence[str], region: str, arm: Arm) -> str:
    publisher, product, name = sku
    place = f"providers/Microsoft.Compute/locations/{region}/publishers/{publisher}"
    return arm.below(f"{place}/artifacttypes/vmimage/offers/{product}/skus/{name}/versions")


def _why_unusable(found: Mapping[str, Any]) -> str:
    """Return why no machine of ours boots from an image, "" when one does."""
    told = found.get("properties") or {}
    if told.get("plan") or told.get("purchasePlan"):
        return "it is sold with a plan of its publisher's, whose terms must be accepted and whose price we do not know"
    if str(told.get("hyperVGeneration", "V2")).upper() != "V2":
        return "it is made for the first generation of machines, and ours are of the second"
    if str(told.get("architecture", "x64")).lower() != "x64":
        return "it is made for Arm processors"
    if str((told.get("imageDeprecationStatus") or {}).get("imageState", "")) == "Deprecated":
        return "its publisher has withdrawn it"
    systems = [told.get("osType"), (told.get("osDiskImage") or {}).get("operatingSystem")]
    systems.append(((told.get("storageProfile") or {}).get("osDisk") or {}).get("osType"))
    return "it is Windows" if "Windows" in systems else ""


def _image(urn: Sequence[str], found: Mapping[str, Any], offer: Offer, user: str, remark: str = "") -> Image:
    size = int((found.get("properties", {}).get("osDiskImage") or {}).get("sizeInGb") or 0)
    reference = dict(zip(("publisher", "offer", "sku", "version"), urn, strict=True))
    # What a plain image leaves free is too little for a driver and CUDA's libraries.
    least = _assumed_gib(offer)
    return Image(reference, max(size, least) if offer.gpu else size or least, user, ":".join(urn), remark)


def _assumed_gib(offer: Offer) -> int:
    return GPU_IMAGE_GIB if offer.gpu else CPU_IMAGE_GIB
