"""Disks: made with an instance or alone, attached, kept, deleted."""

from .account import Account, Body, Handler, check_fingerprint, check_labels, fingerprint
from .errors import GoogleError, invalid, not_found
from .hardware import last, machine_types, zone_names
from .images import Images
from .listing import aggregated, listed
from .operations import Operation, Operations
from .places import DISK_TYPES, check_zone
from .wire import GoogleCall


class Disks:
    """Answers what is about disks."""

    def __init__(self, account: Account, operations: Operations, images: Images) -> None:
        self._account, self._operations, self._images = account, operations, images

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {
            "compute.disks.get": self._get,
            "compute.disks.list": self._list,
            "compute.disks.aggregatedList": self._all,
            "compute.disks.insert": self._insert,
            "compute.disks.delete": self._delete,
            "compute.disks.setLabels": self._set_labels,
        }

    def planned(self, zone: str, machine_type: str, number: int, name: str, given: Body) -> tuple[Body, Body]:
        """Return a disk of an instance that is to be, as disks.get and as the instance shows it. Nothing is kept yet.

        Raises:
            GoogleError: there can be no such disk.
        """
        where = f"resource.disks[{number}]"
        if given.get("source"):
            disk = self._to_attach(zone, str(given["source"]), where)
        else:
            disk = self._to_make(
                zone, machine_type, name if not number else f"{name}-{number}", given.get("initializeParams", {}), where
            )
        return disk, {
            "kind": "compute#attachedDisk",
            "type": "PERSISTENT",
            "mode": given.get("mode", "READ_WRITE"),
            "source": disk["selfLink"],
            "deviceName": given.get("deviceName", f"persistent-disk-{number}"),
            "index": number,
            "boot": bool(given.get("boot")),
            "autoDelete": bool(given.get("autoDelete")),
            "interface": given.get("interface", "SCSI"),
            "diskSizeGb": disk["sizeGb"],
        }

    def made(self, zone: str, name: str, kind: str, size_gb: int, params: Body) -> Body:
        """Return a new disk as the API shows it."""
        labels = dict(params.get("labels", {}))
        check_labels(labels, "resource.labels")
        disk = {
            "kind": "compute#disk",
            "id": self._account.new_id(),
            "creationTimestamp": self._account.now_text(),
            "name": name,
            "sizeGb": str(size_gb),
            "zone": self._account.link(f"zones/{zone}"),
            "status": "READY",
            "type": self._account.link(f"zones/{zone}/diskTypes/{kind}"),
            "physicalBlockSizeBytes": "4096",
            "labels": labels,
            "labelFingerprint": fingerprint(labels),
            "selfLink": self._account.link(f"zones/{zone}/disks/{name}"),
        }
        for key in ("description", "provisionedIops", "provisionedThroughput"):
            disk |= {key: params[key]} if key in params else {}
        return disk

    def _to_attach(self, zone: str, source: str, where: str) -> Body:
        disk = self._account.disks.get((zone, last(source)))
        if disk is None:
            raise invalid(f"{where}.source", source, "The referenced disk resource cannot be found.")
        if disk.get("users"):
            user = last(disk["users"][0])
            raise GoogleError(
                400, "resourceInUseByAnotherResource", f"The disk resource '{source}' is already being used by '{user}'"
            )
        return disk

    def _to_make(self, zone: str, machine_type: str, name: str, params: Body, where: str) -> Body:
        name = str(params.get("diskName") or name)
        if (zone, name) in self._account.disks:
            raise GoogleError(
                409,
                "alreadyExists",
                f"The resource 'projects/{self._account.project}/zones/{zone}/disks/{name}' already exists",
            )
        image = self._images.find(str(params["sourceImage"])) if params.get("sourceImage") else None
        least = image.disk_gb if image else 10
        size_gb = int(params.get("diskSizeGb") or least)
        if size_gb < least:
            why = f"Requested disk size cannot be smaller than the image size ({least} GB)"
            raise invalid(f"{where}.initializeParams.diskSizeGb", size_gb, why)
        kind = self._kind(machine_type, str(params.get("diskType") or "pd-standard"), where)
        disk = self.made(zone, name, kind, size_gb, params)
        return disk | ({"sourceImage": self._account_link(image.path), "architecture": image.architecture} if image else {})

    def _account_link(self, path: str) -> str:
        return self._account.link("").partition("projects/")[0] + path

    def _kind(self, machine_type: str, link: str, where: str) -> str:
        kind = last(link)
        if kind not in DISK_TYPES:
            raise invalid(f"{where}.initializeParams.diskType", link, "The referenced diskType resource cannot be found.")
        if kind not in machine_types()[machine_type].disks:
            text = f"[{machine_type}, {kind}] features are not compatible for creating instance."
            raise GoogleError(400, "invalid", text)
        return kind

    def _found(self, call: GoogleCall, key: str = "disk") -> Body:
        zone, name = call.path["zone"], call.path[key]
        if (zone, name) not in self._account.disks:
            raise not_found(f"projects/{self._account.project}/zones/{zone}/disks/{name}")
        return self._account.disks[zone, name]

    def _get(self, call: GoogleCall) -> Body:
        return self._found(call)

    def _list(self, call: GoogleCall) -> Body:
        zone = check_zone(self._account, call.path["zone"])
        found = [disk for (place, _), disk in self._account.disks.items() if place == zone]
        return listed(call, "compute#diskList", found, self._account.link(f"zones/{zone}/disks"))

    def _all(self, call: GoogleCall) -> Body:
        found = [(f"zones/{zone}", disk) for (zone, _), disk in self._account.disks.items()]
        scopes = [f"zones/{zone}" for zone in zone_names()]
        return aggregated(call, "compute#diskAggregatedList", "disks", found, scopes, self._account.link("aggregated/disks"))

    def _insert(self, call: GoogleCall) -> Operation:
        zone, given = check_zone(self._account, call.path["zone"]), call.resource
        name = str(given["name"])
        if (zone, name) in self._account.disks:
            raise GoogleError(
                409,
                "alreadyExists",
                f"The resource 'projects/{self._account.project}/zones/{zone}/disks/{name}' already exists",
            )
        disk = self.made(zone, name, last(str(given.get("type", "pd-standard"))), int(given.get("sizeGb", 500)), given)
        return self._operations.change(call, disk, lambda: self._account.disks.update({(zone, name): disk}))

    def _delete(self, call: GoogleCall) -> Operation:
        disk, key = self._found(call), (call.path["zone"], call.path["disk"])
        if disk.get("users"):
            user = str(disk["users"][0]).partition("/v1/")[2]
            text = f"The disk resource '{disk['selfLink'].partition('/v1/')[2]}' is already being used by '{user}'"
            raise GoogleError(400, "resourceInUseByAnotherResource", text)
        return self._operations.change(call, disk, lambda: _forget(self._account, key))

    def _set_labels(self, call: GoogleCall) -> Operation:
        disk, labels = self._found(call, "resource"), dict(call.resource.get("labels") or {})
        check_labels(labels, "resource.labels")
        check_fingerprint(call.resource.get("labelFingerprint"), disk.get("labels", {}), "labels")
        change = {"labels": labels, "labelFingerprint": fingerprint(labels)}
        return self._operations.change(call, disk, lambda: disk.update(change))


def _forget(account: Account, key: tuple[str, str]) -> None:
    account.disks.pop(key, None)
