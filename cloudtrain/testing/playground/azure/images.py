"""The marketplace's images: publishers, offers, SKUs and versions, a few of them, with their real names."""

from dataclasses import dataclass

from .account import LOCATIONS, Account, Handler
from .errors import ArmError
from .things import Body
from .wire import ArmCall


@dataclass(frozen=True, slots=True)
class Image:
    """One SKU of an offer and its versions, oldest first.

    Attributes:
        generation: of Hyper-V, "V1" or "V2". disk_gb: the least that a disk made of it may have.
        plan: the plan that must be accepted first, "" for none.
        has_driver: NVIDIA's driver is on it, and loads unless Secure Boot is on.
    """

    publisher: str
    offer: str
    sku: str
    versions: tuple[str, ...]
    generation: str = "V2"
    disk_gb: int = 30
    plan: str = ""
    has_driver: bool = False


IMAGES = (
    Image("microsoft-dsvm", "ubuntu-hpc", "2204", ("22.04.2026050501", "22.04.2026092201"), disk_gb=64, has_driver=True),
    Image("microsoft-dsvm", "ubuntu-hpc", "2404", ("24.04.2026050501", "24.04.2026092201"), disk_gb=64, has_driver=True),
    Image("Canonical", "ubuntu-24_04-lts", "server", ("24.04.202609100",)),
    Image("Canonical", "ubuntu-24_04-lts", "server-gen1", ("24.04.202609100",), "V1"),
    Image("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2", ("22.04.202609090",)),
    Image(
        "nvidia", "ngc_azure_17_11", "ngc-base-version-26_3_1_gen2", ("26.03.1",), disk_gb=64, plan="ngc-base", has_driver=True
    ),
)


def find_image(reference: Body) -> tuple[Image, str]:
    """Return the image that a machine's request names, and the version that it gets.

    Raises:
        ArmError: there is none.
    """
    named = [str(reference.get(key, "")) for key in ("publisher", "offer", "sku")]
    for image in IMAGES:
        if [part.lower() for part in named] == [part.lower() for part in (image.publisher, image.offer, image.sku)]:
            version = str(reference.get("version", "latest"))
            if version == "latest" or version in image.versions:
                return image, image.versions[-1] if version == "latest" else version
    text = (
        f"The platform image '{':'.join([*named, str(reference.get('version', ''))])}' is not available. Verify that all "
        "fields "
    )
    raise ArmError("PlatformImageNotFound", f"{text}in the storage profile are correct.", target="imageReference")


class Images:
    """Answers what is about images."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        root = "locations/publishers"
        offers = f"{root}/artifacttypes/offers"
        return {
            ("Microsoft.Compute", f"{root}/LIST"): lambda call: self._listed(call, "publisher", ()),
            ("Microsoft.Compute", f"{offers}/LIST"): lambda call: self._listed(call, "offer", ("publisherName",)),
            ("Microsoft.Compute", f"{offers}/skus/LIST"): lambda call: self._listed(call, "sku", ("publisherName", "offer")),
            ("Microsoft.Compute", f"{offers}/skus/versions/LIST"): self._versions,
            ("Microsoft.Compute", f"{offers}/skus/versions/GET"): self._version,
        }

    def _listed(self, call: ArmCall, level: str, above: tuple[str, ...]) -> list[Body]:
        wanted = [call.names[name].lower() for name in above]
        levels = ("publisher", "offer", "sku")[: len(above)]
        fits = [image for image in IMAGES if [getattr(image, name).lower() for name in levels] == wanted]
        return [self._entry(call, name) for name in dict.fromkeys(str(getattr(image, level)) for image in fits)]

    def _versions(self, call: ArmCall) -> list[Body]:
        found = next((image for image in IMAGES if _is(image, call)), None)
        versions = list(found.versions) if found else []
        if "desc" in call.query.get("$orderby", "").lower():
            versions.reverse()
        return [self._entry(call, version) for version in versions[: int(call.query.get("$top", "1000"))]]

    def _version(self, call: ArmCall) -> Body:
        named = {"publisher": call.names["publisherName"], "offer": call.names["offer"], "sku": call.names["skus"]}
        image, version = find_image({**named, "version": call.names["version"]})
        properties: Body = {
            "osDiskImage": {"operatingSystem": "Linux"},
            "dataDiskImages": [],
            "hyperVGeneration": image.generation,
            "architecture": "x64",
        }
        if image.plan:
            properties["plan"] = {"publisher": image.publisher, "name": image.plan, "product": image.offer}
        return {**self._entry(call, version), "properties": properties}

    def _entry(self, call: ArmCall, name: str) -> Body:
        location = call.location
        if location not in LOCATIONS:
            raise ArmError("NoRegisteredProviderFound", f"No registered resource provider found for location '{call.region}'.")
        path = call.path.rstrip("/")
        return {"id": path if path.endswith(f"/{name}") else f"{path}/{name}", "name": name, "location": location}


def _is(image: Image, call: ArmCall) -> bool:
    wanted = (call.names["publisherName"], call.names["offer"], call.names["skus"])
    return [part.lower() for part in wanted] == [part.lower() for part in (image.publisher, image.offer, image.sku)]
