"""Which image a machine boots from: the newest one by public parameter, never an id of ours."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...model.errors import NoCapacityError, ProviderError
from ...model.offer import Offer
from .clients import Clients
from .translate import calling, code_of

AUTO = "auto"
OLDEST_OPEN_DRIVER = 7.5
"""NVIDIA's open kernel modules, which the current images carry, start at Turing."""

_LEARNING = "/aws/service/deeplearning/ami/{arch}/{kind}/latest/ami-id"
_UBUNTU_24 = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{canonical}/hvm/ebs-gp3/ami-id"
_UBUNTU_22 = "/aws/service/canonical/ubuntu/server/22.04/stable/current/{canonical}/hvm/ebs-gp2/ami-id"
_OPEN = (
    _LEARNING.replace("{kind}", "base-oss-nvidia-driver-gpu-ubuntu-24.04"),
    _LEARNING.replace("{kind}", "base-oss-nvidia-driver-gpu-ubuntu-22.04"),
    _LEARNING.replace("{kind}", "base-oss-nvidia-driver-gpu-amazon-linux-2023"),
)
_PROPRIETARY = (
    _LEARNING.replace("{kind}", "base-proprietary-nvidia-driver-gpu-ubuntu-22.04"),
    _LEARNING.replace("{kind}", "base-proprietary-nvidia-driver-gpu-ubuntu-20.04"),
    _LEARNING.replace("{kind}", "base-proprietary-nvidia-driver-amazon-linux-2"),
)
_PLAIN = (_UBUNTU_24, _UBUNTU_22)

_OLD_GPU = re.compile(r"(p2|p3|p3dn|g3|g3s|g2)\.")
_ARM = re.compile(r"a1\.|[a-z]+\d+[a-z]*g[a-z]*[.-]|.*-gb\d+")
"""A `g` behind the generation is Amazon's own Arm processor; GB200 is NVIDIA's."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image, as far as a launch needs it.

    Attributes:
        root_device: the name its boot disk has ("/dev/sda1").
        disk_gb: the smallest boot disk it fits on, GiB.
        user: who logs in.
        remark: what a person should know of it before money is spent, or "".
    """

    id: str
    name: str
    root_device: str
    disk_gb: int
    user: str
    remark: str = ""


def find_image(wanted: str, offer: Offer, clients: Clients) -> Image:
    """Return the image a machine of this offer would boot from. `wanted` is "auto", an id, an image name or a parameter.

    Raises:
        ProviderError: there is no such image in the offer's region.
    """
    if wanted.startswith("ami-"):
        return _described(wanted, offer, clients)
    if wanted == AUTO or wanted.startswith("/"):
        return _newest(parameters(offer) if wanted == AUTO else (wanted,), offer, clients)
    return _named(wanted, offer, clients)


def parameters(offer: Offer) -> tuple[str, ...]:
    """Return the public parameters that may name the image, the most wanted first."""
    is_arm = _ARM.match(offer.instance_type) is not None
    words = {"arch": "arm64" if is_arm else "x86_64", "canonical": "arm64" if is_arm else "amd64"}
    if not offer.gpu_count:
        wanted: Sequence[str] = _PLAIN
    elif is_before_turing(offer):
        wanted = (*_PROPRIETARY, _UBUNTU_22)
    else:
        wanted = _OPEN
    return tuple(name.format(**words) for name in wanted)


def is_before_turing(offer: Offer) -> bool:
    """Say whether the open driver has no module for this GPU."""
    if offer.compute_capability:
        return float(offer.compute_capability) < OLDEST_OPEN_DRIVER
    return _OLD_GPU.match(offer.instance_type) is not None


def _newest(names: Sequence[str], offer: Offer, clients: Clients) -> Image:
    with calling(offer.region):
        found = clients.ssm(offer.region).get_parameters(Names=list(names))["Parameters"]
    ids = {parameter["Name"]: parameter["Value"] for parameter in found}
    for name in names:
        if name not in ids:
            continue
        try:
            return _described(ids[name], offer, clients)
        except ProviderError as error:
            if code_of(error) not in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
                raise
    raise NoCapacityError(
        f"{offer.region} has no image for {offer.instance_type}: none of {', '.join(names)}",
        "Name one in the machine config: image: ami-…",
    )


def _described(id: str, offer: Offer, clients: Clients) -> Image:
    with calling(offer.region):
        found = clients.ec2(offer.region).describe_images(ImageIds=[id])["Images"]
    if not found:
        raise ProviderError(f"{offer.region} has no image {id}", "Correct image in the machine config, or leave it out.")
    return _image(found[0], offer)


def _named(name: str, offer: Offer, clients: Clients) -> Image:
    filters = [{"Name": "name", "Values": [name]}, {"Name": "state", "Values": ["available"]}]
    with calling(offer.region):
        found = clients.ec2(offer.region).describe_images(Filters=filters, Owners=["self", "amazon", "099720109477"])["Images"]
    if not found:
        raise ProviderError(
            f"{offer.region} has no image named {name!r} of yours, Amazon's or Canonical's",
            "Correct image in the machine config, or leave it out.",
        )
    return _image(max(found, key=lambda image: str(image.get("CreationDate", ""))), offer)


def _image(found: Mapping[str, Any], offer: Offer) -> Image:
    name, root = found.get("Name") or found["ImageId"], found.get("RootDeviceName") or "/dev/sda1"
    sizes = [
        mapping["Ebs"].get("VolumeSize", 0)
        for mapping in found.get("BlockDeviceMappings", ())
        if mapping.get("DeviceName") == root and "Ebs" in mapping
    ]
    return Image(found["ImageId"], name, root, max(sizes, default=8), _user(name, found), _remark(name, offer))


def _user(name: str, found: Mapping[str, Any]) -> str:
    if "ubuntu" in name.lower() or found.get("OwnerId") == "099720109477":
        return "ubuntu"
    if name.lower().startswith("debian"):
        return "admin"
    return "ec2-user"


def _remark(name: str, offer: Offer) -> str:
    if not offer.gpu_count or not is_before_turing(offer):
        return ""
    gpu = offer.gpu or offer.instance_type
    if "proprietary" in name.lower():
        return f"with NVIDIA's proprietary driver, which the {gpu} needs"
    return f"without an NVIDIA driver: AWS publishes no current image with one for the {gpu}; your setup must install it"
