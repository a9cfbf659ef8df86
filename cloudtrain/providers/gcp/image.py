"""Which image a machine boots from: the newest one of a family that is found by its name, never an id of ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ...model.errors import NoCapacityError, ProviderError
from ...model.offer import Offer
from .quota import accelerator_of
from .rest import Rest
from .translate import is_absent

AUTO = "auto"

LEARNING, UBUNTU = "deeplearning-platform-release", "ubuntu-os-cloud"
"""The projects in which Google publishes its Deep Learning images, and Canonical its own."""

UBUNTU_FAMILIES = ("ubuntu-2404-lts-amd64", "ubuntu-2204-lts", "ubuntu-minimal-2404-lts-amd64")

INSTALL_DRIVER: Mapping[str, str] = MappingProxyType({"install-nvidia-driver": "True"})
"""What tells a Deep Learning image without a driver to install one at its first boot, in some minutes."""

PAGE = "500"

_FIELDS = "items(name,family,selfLink,diskSizeGb,creationTimestamp,deprecated/state,architecture),nextPageToken,warning/code"
# Ubuntu alone: what a machine is told at its first boot is read by cloud-init, which Google's Debian images do not have.
_FAMILY = re.compile(r"common-cu(?P<cuda>\d+)-ubuntu-(?P<release>\d+)(?:-nvidia-(?P<driver>\d+))?(?:-py\d+)?")
_PATH = re.compile(r"(?:.*/)?(projects/[^/]+/global/images/(?:family/)?[^/]+)")

_LAST_DRIVER = {"nvidia-tesla-p4": 580, "nvidia-tesla-p100": 580, "nvidia-tesla-v100": 580}
"""NVIDIA's drivers after 580 know the GPUs before Turing no more."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image, as far as a launch needs it.

    Attributes:
        disk_gb: the smallest boot disk it fits on, GiB.
        user: who logs in; the account is made by what the launch writes into the metadata.
        remark: what a person should know of it before money is spent, or "".
        metadata: what the machine's metadata must say for its driver to be there.
    """

    self_link: str
    name: str
    disk_gb: int
    user: str = "ubuntu"
    remark: str = ""
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def find_image(wanted: str, offer: Offer, rest: Rest) -> Image:
    """Return the image a machine of this offer would boot from.

    `wanted` is "auto", an image's or a family's name in one's own project, or a path ("projects/P/global/images/NAME",
    "projects/P/global/images/family/FAMILY", with or without the address before it).

    Raises:
        NoCapacityError: Google publishes no image that would do.
        ProviderError: there is no such image, or it cannot be asked for.
    """
    if wanted != AUTO:
        return _named(wanted, offer, rest)
    if not accelerator_of(offer.instance_type):
        return _ubuntu(offer, rest)
    return _learning(offer, rest)


def _learning(offer: Offer, rest: Rest) -> Image:
    """Return the newest image with CUDA and a driver for the offer's GPU, else one that installs its driver."""
    query = {"filter": 'family eq "common-cu[0-9]+-ubuntu-.*"', "maxResults": PAGE, "fields": _FIELDS}
    listed = rest.pages("compute.images.list", f"projects/{LEARNING}/global/images", query=query)
    last = _LAST_DRIVER.get(accelerator_of(offer.instance_type))
    fit = [image for image in listed if _is_fit(image, last)]
    if not fit:
        raise NoCapacityError(
            f"The project {LEARNING} has no image for {offer.instance_type}: none of a family common-cu…-ubuntu-…",
            "Name one in the machine config: image: projects/PROJECT/global/images/family/FAMILY",
        )
    return _image(max(fit, key=_rank), offer)


def _is_fit(image: Mapping[str, Any], last_driver: int | None) -> bool:
    found = _FAMILY.fullmatch(str(image.get("family", "")))
    if found is None or image.get("architecture") == "ARM64" or "state" in image.get("deprecated", {}):
        return False
    return last_driver is None or found["driver"] is None or int(found["driver"]) <= last_driver


def _rank(image: Mapping[str, Any]) -> tuple[int, int, int, str]:
    """Return what decides, one after the other: driver, release, CUDA, age. A driver that is there is before none."""
    words = _FAMILY.fullmatch(str(image["family"]))
    numbers = [int(words[name] or 0) for name in ("driver", "release", "cuda")] if words is not None else [0, 0, 0]
    return numbers[0], numbers[1], numbers[2], str(image.get("creationTimestamp", ""))


def _ubuntu(offer: Offer, rest: Rest) -> Image:
    """Return the newest plain image, of the first family that has one."""
    for family in UBUNTU_FAMILIES:
        found = _found(f"projects/{UBUNTU}/global/images/family/{family}", rest)
        if found is not None:
            return _image(found, offer)
    raise NoCapacityError(
        f"The project {UBUNTU} has none of the image families {', '.join(UBUNTU_FAMILIES)}",
        "Name one in the machine config: image: projects/PROJECT/global/images/family/FAMILY",
    )


def _named(wanted: str, offer: Offer, rest: Rest) -> Image:
    path = _PATH.fullmatch(wanted)
    own = f"projects/{rest.project}/global/images"
    for place in (path[1],) if path is not None else (f"{own}/{wanted}", f"{own}/family/{wanted}"):
        found = _found(place, rest)
        if found is not None:
            return _image(found, offer)
    where = "" if path is not None else f" in the project {rest.project}, nor a family of that name"
    raise ProviderError(
        f"There is no image {wanted}{where}",
        "Correct image in the machine config, or leave it out. See: gcloud compute images list",
    )


def _found(path: str, rest: Rest) -> dict[str, Any] | None:
    """Return an image, or a family's newest one; None where there is none."""
    method_id = "compute.images.getFromFamily" if "/images/family/" in path else "compute.images.get"
    try:
        return rest.call(method_id, "GET", path)
    except ProviderError as error:
        if is_absent(error):
            return None
        raise


def _image(found: Mapping[str, Any], offer: Offer) -> Image:
    accelerator, family = accelerator_of(offer.instance_type), str(found.get("family", ""))
    # Only Google's own images know what the metadata asks of them.
    installs = bool(accelerator) and _FAMILY.fullmatch(family) is not None and "-nvidia-" not in family
    remarks = {
        "it installs its NVIDIA driver at its first boot, which takes minutes": installs,
        f"whether its driver still drives a {offer.gpu} has not been seen": accelerator in _LAST_DRIVER and not installs,
    }
    return Image(
        str(found["selfLink"]),
        str(found["name"]),
        int(found.get("diskSizeGb", 10)),
        remark="; ".join(text for text, holds in remarks.items() if holds),
        metadata=INSTALL_DRIVER if installs else MappingProxyType({}),
    )
