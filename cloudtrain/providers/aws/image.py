"""Which image a machine boots from: the newest one by public parameter, never an id of ours."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...model.errors import NoCapacityError, ProviderError
from ...model.offer import Offer
from .clients import Clients
from .driver import KEPLERS, branch_for, installing
from .translate import calling, code_of

AUTO = "auto"
ROOM_GIB = 30
"""A disk that a driver and CUDA's libraries fit on, GiB; what a plain image asks for they do not."""

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
        first_boot: a shell script that it needs at its first boot, "" for none.
    """

    id: str
    name: str
    root_device: str
    disk_gb: int
    user: str
    remark: str = ""
    first_boot: str = ""


def find_image(wanted: str, offer: Offer, clients: Clients) -> Image:
    """Return the image a machine of this offer would boot from. `wanted` is "auto", an id, an image name or a parameter.

    Raises:
        ProviderError: there is no such image in the offer's region.
    """
    found = _found(wanted, offer, clients)
    is_old = bool(offer.gpu_count) and is_before_turing(offer)
    return _for_old_gpu(found, wanted, offer) if is_old else found


def _found(wanted: str, offer: Offer, clients: Clients) -> Image:
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
        # What Amazon's images have has not driven Kepler for years.
        wanted = (_UBUNTU_22,) if branch_for(offer) == KEPLERS else (*_PROPRIETARY, _UBUNTU_22)
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
    return _image(found[0])


def _named(name: str, offer: Offer, clients: Clients) -> Image:
    filters = [{"Name": "name", "Values": [name]}, {"Name": "state", "Values": ["available"]}]
    with calling(offer.region):
        found = clients.ec2(offer.region).describe_images(Filters=filters, Owners=["self", "amazon", "099720109477"])["Images"]
    if not found:
        raise ProviderError(
            f"{offer.region} has no image named {name!r} of yours, Amazon's or Canonical's",
            "Correct image in the machine config, or leave it out.",
        )
    return _image(max(found, key=lambda image: str(image.get("CreationDate", ""))))


def _image(found: Mapping[str, Any]) -> Image:
    name, root = found.get("Name") or found["ImageId"], found.get("RootDeviceName") or "/dev/sda1"
    sizes = [
        mapping["Ebs"].get("VolumeSize", 0)
        for mapping in found.get("BlockDeviceMappings", ())
        if mapping.get("DeviceName") == root and "Ebs" in mapping
    ]
    return Image(found["ImageId"], name, root, max(sizes, default=8), _user(name, found))


def _user(name: str, found: Mapping[str, Any]) -> str:
    if "ubuntu" in name.lower() or found.get("OwnerId") == "099720109477":
        return "ubuntu"
    if name.lower().startswith("debian"):
        return "admin"
    return "ec2-user"


def _for_old_gpu(image: Image, wanted: str, offer: Offer) -> Image:
    """Return an image with what a GPU before Turing takes: its own driver, or one that it is given where we chose the image."""
    gpu = offer.gpu or offer.instance_type
    if "proprietary" in image.name.lower():
        return replace(image, remark=f"with NVIDIA's proprietary driver, which the {gpu} needs")
    if wanted != AUTO:
        return replace(image, remark=f"the {gpu} needs NVIDIA's proprietary driver: this image or your setup must bring it")
    branch = branch_for(offer)
    remark = f"NVIDIA's driver {branch.partition('-')[0]} for the {gpu} is installed at the first boot: some minutes more"
    return replace(image, remark=remark, first_boot=installing(branch), disk_gb=max(image.disk_gb, ROOM_GIB))
