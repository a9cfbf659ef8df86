"""The public images, by family, as images.list and getFromFamily show them. A selection of the real ones."""

from dataclasses import dataclass

from .account import API, Account, Body, Handler, relative
from .errors import GoogleError, not_found
from .hardware import last
from .listing import listed
from .wire import GoogleCall


@dataclass(frozen=True, slots=True)
class Image:
    """A public image.

    Attributes:
        user: who logs in where cloud-init is told nothing else.
        deprecated: its state when a newer one has taken its place, "".
    """

    project: str
    name: str
    family: str
    disk_gb: int
    made: str
    user: str = "ubuntu"
    architecture: str = "X86_64"
    deprecated: str = ""

    @property
    def path(self) -> str:
        """Return what its link ends with."""
        return f"projects/{self.project}/global/images/{self.name}"


DEEP_LEARNING = "deeplearning-platform-release"
UBUNTU = "ubuntu-os-cloud"


def _with_driver(family: str, made: str, disk_gb: int = 50, deprecated: str = "") -> Image:
    return Image(DEEP_LEARNING, f"{family}-v{made.replace('-', '')}", family, disk_gb, made, deprecated=deprecated)


IMAGES = (
    _with_driver("common-cu129-ubuntu-2204-nvidia-580", "2026-06-26"),
    _with_driver("common-cu129-ubuntu-2204-nvidia-580", "2026-05-14", deprecated="DEPRECATED"),
    _with_driver("common-cu129-ubuntu-2404-nvidia-580", "2026-06-26"),
    _with_driver("common-cu128-ubuntu-2204-nvidia-570", "2025-12-18"),
    _with_driver("pytorch-2-9-cu129-ubuntu-2204-nvidia-580", "2026-06-26", 100),
    Image(UBUNTU, "ubuntu-2204-jammy-v20261105", "ubuntu-2204-lts", 10, "2026-11-05"),
    Image(UBUNTU, "ubuntu-2404-noble-amd64-v20261112", "ubuntu-2404-lts-amd64", 10, "2026-11-12"),
    Image(UBUNTU, "ubuntu-2404-noble-amd64-v20261015", "ubuntu-2404-lts-amd64", 10, "2026-10-15", deprecated="DEPRECATED"),
    Image(UBUNTU, "ubuntu-minimal-2404-noble-amd64-v20261112", "ubuntu-minimal-2404-lts-amd64", 10, "2026-11-12"),
    Image(UBUNTU, "ubuntu-2404-noble-arm64-v20261112", "ubuntu-2404-lts-arm64", 10, "2026-11-12", architecture="ARM64"),
    Image("debian-cloud", "debian-12-bookworm-v20261110", "debian-12", 10, "2026-11-10", user="debian"),
    Image("debian-cloud", "debian-11-bullseye-v20260810", "debian-11", 10, "2026-08-10", user="debian"),
)
PUBLIC_PROJECTS = tuple(dict.fromkeys(image.project for image in IMAGES))


class Images:
    """Answers what asks for images."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {
            "compute.images.get": self._get,
            "compute.images.getFromFamily": self._get_from_family,
            "compute.images.list": self._list,
            "compute.imageFamilyViews.get": lambda call: {"image": self._get_from_family(call)},
        }

    def find(self, link: str) -> Image:
        """Return what a link in an insert means, be it an image or a family.

        Raises:
            GoogleError: 404, as Compute Engine refuses an image that is not there.
        """
        path = relative(link, self._account.project)
        is_family = "/family/" in path or "/imageFamilyViews/" in path
        family = newest(path.split("/")[1], last(path)) if is_family else None
        found = family or next((image for image in IMAGES if image.path == path), None)
        if found is None:
            raise not_found(path)
        return found

    def _get(self, call: GoogleCall) -> Body:
        for image in IMAGES:
            if (image.project, image.name) == (call.path["project"], call.path["image"]):
                return shown(image)
        raise not_found(f"projects/{call.path['project']}/global/images/{call.path['image']}")

    def _get_from_family(self, call: GoogleCall) -> Body:
        image = newest(call.path["project"], call.path["family"])
        if image is None:
            path = f"projects/{call.path['project']}/global/images/family/{call.path['family']}"
            raise GoogleError(404, "notFound", f"The resource '{path}' was not found")
        return shown(image)

    def _list(self, call: GoogleCall) -> Body:
        found = [shown(image) for image in IMAGES if image.project == call.path["project"]]
        if call.query.get("orderBy") == "creationTimestamp desc":
            found.sort(key=lambda body: str(body["creationTimestamp"]), reverse=True)
        return listed(call, "compute#imageList", found, f"{API}projects/{call.path['project']}/global/images")


def newest(project: str, family: str) -> Image | None:
    """Return the newest image of a family that is not deprecated."""
    alive = [image for image in IMAGES if (image.project, image.family) == (project, family) and not image.deprecated]
    return max(alive, key=lambda image: image.made, default=None)


def shown(image: Image) -> Body:
    """Return an image as the API shows it."""
    body: Body = {
        "kind": "compute#image",
        "id": str(10**18 + IMAGES.index(image)),
        "creationTimestamp": f"{image.made}T04:12:09.000-07:00",
        "name": image.name,
        "family": image.family,
        "description": f"{image.family}, {image.made}",
        "sourceType": "RAW",
        "status": "READY",
        "architecture": image.architecture,
        "diskSizeGb": str(image.disk_gb),
        "archiveSizeBytes": str(image.disk_gb * 2**28),
        "storageLocations": ["us", "eu", "asia"],
        "guestOsFeatures": [{"type": name} for name in ("UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC")],
        "licenses": [f"{API}projects/{image.project}/global/licenses/{image.family}"],
        "labelFingerprint": "42WmSpB8rSM=",
        "selfLink": f"{API}{image.path}",
    }
    return body | ({"deprecated": {"state": image.deprecated}} if image.deprecated else {})
