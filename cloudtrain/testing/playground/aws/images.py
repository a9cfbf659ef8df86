"""The few machine images of the pretend cloud, and the public parameters that name the newest of each."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.ec2.models.amis import Ami

from .account import Account, Handler
from .moto_app import REGIONS
from .wire import ApiCall, CloudError, strings

SERVED = "/aws/service/"
DEEP_LEARNING = "/aws/service/deeplearning/ami/x86_64"
CANONICAL = "/aws/service/canonical/ubuntu/server"
AMAZON_LINUX = "/aws/service/ami-amazon-linux-latest"
MADE = datetime(2026, 11, 5, 7, 30, tzinfo=UTC)
PAGE = 10


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """An image: the parameters that name it, and what DescribeImages says of it."""

    parameters: tuple[str, ...]
    name: str
    owner: str
    user: str
    root_device: str
    size_gib: int

    def id(self, region: str) -> str:
        """Return its id in a region; every region has its own."""
        return "ami-" + hashlib.sha256(f"{self.name} {region}".encode()).hexdigest()[:17]


def _deep_learning(kind: str, system: str, title: str, user: str, device: str) -> ImageSpec:
    parameter = f"{DEEP_LEARNING}/{kind}-{system}/latest/ami-id"
    return ImageSpec((parameter,), f"Deep Learning {title} 20261105", "898082745236", user, device, 75)


BASE = "base-oss-nvidia-driver-gpu"
IMAGES = (
    _deep_learning(BASE, "ubuntu-22.04", "Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04)", "ubuntu", "/dev/sda1"),
    _deep_learning(BASE, "ubuntu-24.04", "Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04)", "ubuntu", "/dev/sda1"),
    _deep_learning(BASE, "amazon-linux-2023", "Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023)", "ec2-user", "/dev/xvda"),
    _deep_learning(
        "oss-nvidia-driver-gpu-pytorch-2.10",
        "ubuntu-24.04",
        "OSS Nvidia Driver AMI GPU PyTorch 2.10 (Ubuntu 24.04)",
        "ubuntu",
        "/dev/sda1",
    ),
    ImageSpec(
        tuple(f"{CANONICAL}/22.04/stable/current/amd64/hvm/{disk}/ami-id" for disk in ("ebs-gp2", "ebs-gp3")),
        "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20261105",
        "099720109477",
        "ubuntu",
        "/dev/sda1",
        8,
    ),
    ImageSpec(
        (f"{CANONICAL}/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",),
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261105",
        "099720109477",
        "ubuntu",
        "/dev/sda1",
        8,
    ),
    ImageSpec(
        (f"{AMAZON_LINUX}/al2023-ami-kernel-default-x86_64", f"{AMAZON_LINUX}/al2023-ami-kernel-6.1-x86_64"),
        "al2023-ami-2023.9.20261105.0-kernel-6.1-x86_64",
        "137112412989",
        "ec2-user",
        "/dev/xvda",
        8,
    ),
)
BY_PARAMETER = {parameter: image for image in IMAGES for parameter in image.parameters}


class _Image(Ami):
    """moto's image with the disk of ours; moto's own always has 15 GiB."""

    def __init__(self, backend: Any, spec: ImageSpec) -> None:
        super().__init__(
            backend,
            spec.id(backend.region_name),
            name=spec.name,
            description=spec.name,
            owner_id=spec.owner,
            owner_alias="amazon",
            public=True,
            virtualization_type="hvm",
            architecture="x86_64",
            hypervisor="xen",
            creation_date=MADE,
            root_device_type="ebs",
            root_device_name=spec.root_device,
            region_name=f"{backend.region_name}a",
        )
        self.size_gib = spec.size_gib
        self.ebs_snapshot.volume.size = spec.size_gib

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        ebs = {"SnapshotId": self.ebs_snapshot.id, "VolumeSize": self.size_gib, "Encrypted": False}
        return [{"DeviceName": self.root_device_name, "Ebs": ebs | {"DeleteOnTermination": True, "VolumeType": "gp3"}}]


class Images:
    """Answers for SSM's public parameters; its other calls are moto's."""

    def __init__(self, account: Account) -> None:
        """Register the images in every region."""
        self._account = account
        for region in REGIONS:
            backend = account.moto.ec2(region)
            backend.amis.update({spec.id(region): _Image(backend, spec) for spec in IMAGES})

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return the calls this answers."""
        return {
            ("ssm", "GetParameter"): self._get,
            ("ssm", "GetParameters"): self._get_several,
            ("ssm", "GetParametersByPath"): self._get_by_path,
        }

    def _get(self, call: ApiCall) -> object:
        name = str(call.parameters.get("Name", ""))
        if not name.startswith(SERVED):
            return self._account.moto.answer(call)
        if name not in BY_PARAMETER:
            raise CloudError("ParameterNotFound", "")
        return {"Parameter": _parameter(name, call.region)}

    def _get_several(self, call: ApiCall) -> object:
        names = strings(call.parameters, "Names")
        if not all(name.startswith(SERVED) for name in names):
            return self._account.moto.answer(call)
        found = [_parameter(name, call.region) for name in names if name in BY_PARAMETER]
        return {"Parameters": found, "InvalidParameters": [name for name in names if name not in BY_PARAMETER]}

    def _get_by_path(self, call: ApiCall) -> object:
        path = str(call.parameters.get("Path", "")).rstrip("/") + "/"
        if not path.startswith(SERVED):
            return self._account.moto.answer(call)
        deep = bool(call.parameters.get("Recursive"))
        below = [name for name in sorted(BY_PARAMETER) if name.startswith(path)]
        names = [name for name in below if deep or "/" not in name.removeprefix(path)]
        start, size = int(call.parameters.get("NextToken") or 0), int(call.parameters.get("MaxResults") or PAGE)
        answer: dict[str, object] = {"Parameters": [_parameter(name, call.region) for name in names[start : start + size]]}
        return answer | ({"NextToken": str(start + size)} if len(names) > start + size else {})


def login_user(image_id: str, region: str) -> str:
    """Return the login name of an image; "ubuntu" for one that was made here."""
    return next((spec.user for spec in IMAGES if spec.id(region) == image_id), "ubuntu")


def _parameter(name: str, region: str) -> dict[str, object]:
    return {
        "Name": name,
        "Type": "String",
        "Value": BY_PARAMETER[name].id(region),
        "Version": 1,
        "LastModifiedDate": MADE.timestamp(),
        "ARN": f"arn:aws:ssm:{region}::parameter{name}",
        "DataType": "aws:ec2:image",
    }
