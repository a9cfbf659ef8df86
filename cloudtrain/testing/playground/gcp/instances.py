"""Instances as they are looked at and changed."""

from collections.abc import Callable

from .account import Account, Body, Handler, Machine, check_fingerprint, check_labels, fingerprint
from .errors import GoogleError, invalid, not_found
from .hardware import last, machine_types, zone_names
from .launch import check_machine_type, checked_metadata, checked_tags, with_fingerprint
from .lifecycle import Lifecycle
from .listing import aggregated, listed
from .operations import Operation, Operations
from .places import check_zone
from .scheduling import changed, check
from .wire import GoogleCall

ALIVE = ("PROVISIONING", "STAGING", "RUNNING")


class Instances:
    """Answers what is about instances that are there."""

    def __init__(self, account: Account, operations: Operations, lifecycle: Lifecycle) -> None:
        self._account, self._operations, self._lifecycle = account, operations, lifecycle

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        answers: dict[str, Handler] = {
            "get": self._get,
            "list": self._list,
            "aggregatedList": self._all,
            "delete": self._delete,
            "stop": self._stop,
            "start": self._start,
            "reset": self._reset,
            "setLabels": self._set_labels,
            "setMetadata": self._set_metadata,
            "setTags": self._set_tags,
            "setScheduling": self._set_scheduling,
            "setMachineType": self._set_machine_type,
            "setDiskAutoDelete": self._set_disk_auto_delete,
            "getGuestAttributes": self._guest_attributes,
            "getSerialPortOutput": self._serial_port,
        }
        return {f"compute.instances.{name}": answer for name, answer in answers.items()}

    def _found(self, call: GoogleCall) -> Machine:
        zone = check_zone(self._account, call.path["zone"])
        wanted = call.path["instance"]
        for machine in self._account.machines.values():
            if machine.zone == zone and wanted in (machine.name, machine.body["id"]):
                return machine
        raise not_found(f"projects/{self._account.project}/zones/{zone}/instances/{wanted}")

    def _get(self, call: GoogleCall) -> Body:
        machine = self._found(call)
        shown = self._seen([machine])
        if not shown:
            raise not_found(f"projects/{self._account.project}/zones/{machine.zone}/instances/{call.path['instance']}")
        return shown[0]

    def _list(self, call: GoogleCall) -> Body:
        zone = check_zone(self._account, call.path["zone"])
        found = self._seen([machine for machine in self._account.machines.values() if machine.zone == zone])
        return listed(call, "compute#instanceList", found, self._account.link(f"zones/{zone}/instances"))

    def _all(self, call: GoogleCall) -> Body:
        machines = list(self._account.machines.values())
        found = [(f"zones/{last(body['zone'])}", body) for body in self._seen(machines)]
        scopes = [f"zones/{zone}" for zone in zone_names()]
        link = self._account.link("aggregated/instances")
        return aggregated(call, "compute#instanceAggregatedList", "instances", found, scopes, link)

    def _seen(self, machines: list[Machine]) -> list[Body]:
        """Return what a caller sees of machines; what they are in the middle of may go on."""
        shown = []
        for machine in machines:
            if machine.hidden_reads:
                machine.hidden_reads -= 1
                continue
            shown.append(dict(machine.body))
            for change in machine.changes:
                change.seen()
        return shown

    def _delete(self, call: GoogleCall) -> Operation:
        machine = self._found(call)
        if machine.body["deletionProtection"]:
            text = (
                f"Invalid resource usage: 'Resource cannot be deleted if it's protected against deletion. ('{machine.name}')'."
            )
            raise GoogleError(400, "invalidUsage", text)
        return self._lifecycle.delete(machine, call=call)

    def _stop(self, call: GoogleCall) -> Operation:
        machine = self._found(call)
        if machine.state == "TERMINATED":
            return self._operations.change(call, machine.body, lambda: None)
        self._check_ready(machine, ("RUNNING", "STAGING", "PROVISIONING"))
        return self._lifecycle.stop(machine, call=call)

    def _start(self, call: GoogleCall) -> Operation:
        machine = self._found(call)
        if machine.state in ALIVE:
            return self._operations.change(call, machine.body, lambda: None)
        self._check_ready(machine, ("TERMINATED",))
        # A terminationTime that has passed keeps a machine from starting until it is taken away.
        check(machine.body, self._account.timeline.now())
        return self._lifecycle.start(call, machine)

    def _reset(self, call: GoogleCall) -> Operation:
        machine = self._found(call)
        self._check_ready(machine, ("RUNNING",))
        return self._lifecycle.reset(call, machine)

    def _check_ready(self, machine: Machine, states: tuple[str, ...]) -> None:
        if machine.state not in states:
            text = f"The resource '{machine.body['selfLink'].partition('/v1/')[2]}' is not ready"
            raise GoogleError(400, "resourceNotReady", text)

    def _set_labels(self, call: GoogleCall) -> Operation:
        machine, labels = self._found(call), dict(call.resource.get("labels") or {})
        check_labels(labels, "resource.labels")
        check_fingerprint(call.resource.get("labelFingerprint"), machine.body["labels"], "labels")
        return self._changed(call, machine, {"labels": labels, "labelFingerprint": fingerprint(labels)})

    def _set_metadata(self, call: GoogleCall) -> Operation:
        machine = self._found(call)
        self._check_part(call, machine, "metadata")
        metadata, before = checked_metadata(call.resource), machine.metadata

        def apply() -> None:
            machine.body["metadata"] = metadata
            for key in {**before, **machine.metadata}:
                path = f"instance/attributes/{key}"
                self._account.hypervisor.set_metadata(machine.id, path, machine.metadata.get(key))

        # A machine that is off has no metadata server; it will find this when it boots.
        is_on = machine.state == "RUNNING"
        change: Callable[[], None] = apply if is_on else lambda: machine.body.update({"metadata": metadata})
        return self._operations.change(call, machine.body, change)

    def _set_tags(self, call: GoogleCall) -> Operation:
        machine = self._found(call)
        self._check_part(call, machine, "tags")
        tags = {"items": checked_tags(call.resource.get("items", []))}
        return self._changed(call, machine, {"tags": with_fingerprint(tags, ["items"])})

    def _check_part(self, call: GoogleCall, machine: Machine, part: str) -> None:
        given = call.resource.get("fingerprint")
        if given != machine.body[part]["fingerprint"]:
            raise GoogleError(412, "conditionNotMet", f"Supplied fingerprint does not match current {part} fingerprint.")

    def _set_scheduling(self, call: GoogleCall) -> Operation:
        machine = self._found(call)
        scheduling = changed(machine.scheduling, call.resource, is_running=machine.state != "TERMINATED")
        check({**machine.body, "scheduling": scheduling}, self._account.timeline.now())
        return self._changed(call, machine, {"scheduling": scheduling})

    def _set_machine_type(self, call: GoogleCall) -> Operation:
        machine = self._found(call)
        if machine.state != "TERMINATED":
            text = "Machine type can only be changed when the instance is stopped."
            raise GoogleError(400, "invalid", f"Invalid resource usage: '{text}'")
        name = check_machine_type(self._account, machine.zone, str(call.resource.get("machineType", "")))
        body = {**machine.body, "machineType": self._account.link(f"zones/{machine.zone}/machineTypes/{name}")}
        self._check_fits(body, name)
        check(body, self._account.timeline.now())
        return self._changed(call, machine, {"machineType": body["machineType"]})

    def _check_fits(self, body: Body, name: str) -> None:
        """Refuse a size that does not take what the machine has: its attached GPUs, its disks."""
        size = machine_types()[name]
        if body.get("guestAccelerators") and size.family != "n1":
            kind = last(body["guestAccelerators"][0]["acceleratorType"])
            raise GoogleError(400, "invalid", f"[{name}, {kind}] features are not compatible for creating instance.")
        for attached in body["disks"]:
            disk = self._account.disks[last(body["zone"]), last(attached["source"])]
            if last(disk["type"]) not in size.disks:
                text = f"[{name}, {last(disk['type'])}] features are not compatible for creating instance."
                raise GoogleError(400, "invalid", text)

    def _set_disk_auto_delete(self, call: GoogleCall) -> Operation:
        machine, name = self._found(call), call.query["deviceName"]
        found = [disk for disk in machine.body["disks"] if disk["deviceName"] == name]
        if not found:
            raise invalid("deviceName", name, f"No attached disk found with device name '{name}'.")
        change = {"autoDelete": call.query["autoDelete"]}
        return self._operations.change(call, machine.body, lambda: found[0].update(change))

    def _changed(self, call: GoogleCall, machine: Machine, change: Body) -> Operation:
        return self._operations.change(call, machine.body, lambda: machine.body.update(change))

    def _guest_attributes(self, call: GoogleCall) -> Body:
        """Return what the guest has written: with cloud-init's Google source and the guest agent that is the host keys."""
        machine = self._found(call)
        wanted = str(call.query.get("queryPath") or call.query.get("variableKey", ""))
        found = self._account.hypervisor.guest_attributes(machine.id) if _has_guest_attributes(machine) else {}
        items = [
            {"namespace": path.partition("/")[0], "key": path.partition("/")[2], "value": value}
            for path, value in sorted(found.items())
            if path.startswith(wanted.rstrip("/"))
        ]
        link = f"{machine.body['selfLink']}/guestAttributes/"
        if not items:
            raise not_found(f"{link.partition('/v1/')[2]}{wanted}")
        return {"kind": "compute#guestAttributes", "queryPath": wanted, "selfLink": link, "queryValue": {"items": items}}

    def _serial_port(self, call: GoogleCall) -> Body:
        machine = self._found(call)
        text = f"cloudtrain playground: {machine.name} has no serial console.\n"
        link = f"{machine.body['selfLink']}/serialPort"
        return {"kind": "compute#serialPortOutput", "contents": text, "start": "0", "next": str(len(text)), "selfLink": link}


def _has_guest_attributes(machine: Machine) -> bool:
    return machine.metadata.get("enable-guest-attributes", "").upper() == "TRUE"
