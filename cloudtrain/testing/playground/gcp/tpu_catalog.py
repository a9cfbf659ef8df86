"""Which TPUs there are, and where. A selection of the real ones."""

from .account import Account, Body, Handler
from .errors import GoogleError
from .wire import GoogleCall

BELOW = "tpu.projects.locations"
ZONES = {
    "v5litepod": ("us-central1-a", "us-west4-a", "us-east1-c", "europe-west4-b", "asia-southeast1-b"),
    "v6e": ("us-central1-b", "us-east1-d", "us-east5-a", "europe-west4-a", "asia-northeast1-b"),
}
SIZES = {kind: tuple(f"{kind}-{chips}" for chips in (1, 4, 8, 16)) for kind in ZONES}
TYPES = {"v5litepod": "V5LITE_POD", "v6e": "V6E"}
RUNTIMES = ("v2-alpha-tpuv5-lite", "v2-alpha-tpuv6e", "tpu-ubuntu2204-base")


class TpuCatalog:
    """Answers what asks for kinds of TPU and their software."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {
            f"{BELOW}.list": self._locations,
            f"{BELOW}.acceleratorTypes.list": self._types,
            f"{BELOW}.acceleratorTypes.get": self._type,
            f"{BELOW}.runtimeVersions.list": self._runtimes,
        }

    def _locations(self, call: GoogleCall) -> Body:
        zones = sorted({zone for zones in ZONES.values() for zone in zones})
        project = f"projects/{self._account.project}"
        return {"locations": [{"name": f"{project}/locations/{zone}", "locationId": zone} for zone in zones]}

    def _types(self, call: GoogleCall) -> Body:
        parent = parent_of(self._account, call.path["parent"])
        return {"acceleratorTypes": [_shown(parent, one) for one in _in(parent.rpartition("/")[2])]}

    def _type(self, call: GoogleCall) -> Body:
        parent, _, wanted = call.path["name"].rpartition("/acceleratorTypes/")
        if wanted not in _in(parent.rpartition("/")[2]):
            raise GoogleError(404, "notFound", f"Resource '{call.path['name']}' was not found")
        return _shown(parent, wanted)

    def _runtimes(self, call: GoogleCall) -> Body:
        parent = parent_of(self._account, call.path["parent"])
        return {"runtimeVersions": [{"name": f"{parent}/runtimeVersions/{one}", "version": one} for one in RUNTIMES]}


def check_zone(kind: str, zone: str) -> None:
    """Refuse a kind of TPU that a zone does not have.

    Raises:
        GoogleError: 400.
    """
    if kind not in _in(zone):
        raise GoogleError(400, "badRequest", f"Invalid acceleratorType: '{kind}' is not available in {zone}.")


def parent_of(account: Account, parent: str) -> str:
    """Return a location's name, if it is one of the project.

    Raises:
        GoogleError: 404; it is not.
    """
    if parent.split("/")[1] not in (account.project, account.number):
        raise GoogleError(404, "notFound", f"Resource '{parent}' was not found")
    return parent


def _in(zone: str) -> list[str]:
    return [size for kind, sizes in SIZES.items() if zone in ZONES[kind] for size in sizes]


def _shown(parent: str, name: str) -> Body:
    kind, _, chips = name.partition("-")
    side = {"1": "1x1", "4": "2x2", "8": "2x4", "16": "4x4"}[chips]
    config = {"type": TYPES[kind], "topology": side}
    return {"name": f"{parent}/acceleratorTypes/{name}", "type": name, "acceleratorConfigs": [config]}
