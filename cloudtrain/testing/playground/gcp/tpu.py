"""TPU machines: nodes, and the queue in which they are asked for.

What `runDuration` does at its end is only said to be "the maximum duration of the requested resource" (tpu.v2alpha1, the one
version that has the field); this deletes the node and leaves the request SUSPENDED. That switching a node off from inside
ends nothing that is paid for is not written anywhere either; this keeps the node READY.
"""

from datetime import timedelta

from ..machine import MachineOrder
from .account import Account, Body, Handler
from .boot import of_service_accounts, storage_there
from .course import Course, Step
from .errors import Failure, GoogleError
from .machine_rights import of_node
from .tpu_catalog import RUNTIMES, TpuCatalog, check_zone, parent_of
from .wire import GoogleCall

BELOW = "tpu.projects.locations"
ALPHA = ("runDuration", "provisioningModel", "bestEffort")
STATES = ("WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE")


class Tpus:
    """Answers what is about TPUs."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._courses: dict[str, Course] = {}
        self._operations: dict[str, Body] = {}
        self._catalog = TpuCatalog(account)

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return self._catalog.handlers() | {
            f"{BELOW}.nodes.create": self._create_node,
            f"{BELOW}.nodes.get": self._get_node,
            f"{BELOW}.nodes.list": self._list_nodes,
            f"{BELOW}.nodes.delete": self._delete_node,
            f"{BELOW}.queuedResources.create": self._queue,
            f"{BELOW}.queuedResources.get": self._get_queued,
            f"{BELOW}.queuedResources.list": self._list_queued,
            f"{BELOW}.queuedResources.delete": self._delete_queued,
            f"{BELOW}.operations.get": self._get_operation,
        }

    def preempt(self, id: str) -> None:
        """Take a Spot node back, by the hypervisor's name of it: it is PREEMPTED, its request SUSPENDED, and nothing runs.

        Raises:
            KeyError: there is no such node.
            ValueError: it is no running Spot node.
        """
        name = {_host(name): name for name in self._account.tpu_nodes}[id]
        node = self._account.tpu_nodes[name]
        if node["state"] != "READY" or not node.get("schedulingConfig", {}).get("spot"):
            raise ValueError(f"{id} is no running Spot node: it is {node['state']}")
        self._account.hypervisor.switch_off(id)
        node["state"] = "PREEMPTED"
        self._suspend(str(node.get("queuedResource", "")))

    def _create_node(self, call: GoogleCall) -> Body:
        parent = parent_of(self._account, call.path["parent"])
        name = f"{parent}/nodes/{call.query.get('nodeId', '')}"
        self._check_node(name, call.resource)
        self._account.tpu_nodes[name] = self._new_node(name, call.resource)
        self._go(name, [Step(self._account.durations.tpu, lambda: self._boot(name))])
        return self._operation(name, "create")

    def _get_node(self, call: GoogleCall) -> Body:
        return _node_in_version(call, self._seen(self._account.tpu_nodes, call.path["name"]))

    def _list_nodes(self, call: GoogleCall) -> Body:
        names = self._names(self._account.tpu_nodes, call)
        return {"nodes": [_node_in_version(call, self._seen(self._account.tpu_nodes, name)) for name in names]}

    def _delete_node(self, call: GoogleCall) -> Body:
        name = _known(self._account.tpu_nodes, call.path["name"])
        self._remove(name)
        self._suspend(str(self._queued_for(name)))
        return self._operation(name, "delete")

    def _queue(self, call: GoogleCall) -> Body:
        parent, given = parent_of(self._account, call.path["parent"]), call.resource
        name = f"{parent}/queuedResources/{call.query.get('queuedResourceId', '')}"
        if name in self._account.queued:
            raise GoogleError(409, "alreadyExists", f"Resource '{name}' already exists")
        specs = given.get("tpu", {}).get("nodeSpec", [])
        if len(specs) != 1 or not specs[0].get("nodeId"):
            raise GoogleError(400, "badRequest", "The playground takes requests for one node, whose nodeId is given.")
        node_name = f"{parent}/nodes/{specs[0]['nodeId']}"
        self._check_node(node_name, specs[0].get("node", {}))
        now = self._account.now_text()
        self._account.queued[name] = {**given, "name": name, "createTime": now, "state": {"state": STATES[0]}}
        if (zone := name.split("/")[3]) in self._account.tpu_troubles:
            self._fail(name, self._account.tpu_troubles[zone])
        else:
            self._go(name, self._steps(name, node_name, specs[0]["node"]))
        return self._operation(name, "create")

    def _fail(self, name: str, status: Body) -> None:
        """Let a request fail, with its own error at once, or with none when the time it was to wait is over."""
        wait = str(self._account.queued[name].get("queueingPolicy", {}).get("validUntilDuration", ""))
        if status:
            self._go(name, [Step(self._account.durations.tpu, lambda: self._failed(name, status))])
        elif wait:
            end = self._account.timeline.now() + timedelta(seconds=float(wait.rstrip("s")))
            # Which number it bears then is not written anywhere: this one says that a time is over.
            self._account.timeline.at(end, lambda: self._failed(name, {"code": 4, "message": "The request has expired."}))

    def _failed(self, name: str, status: Body) -> None:
        if name in self._account.queued:
            self._account.queued[name]["state"] = {"state": "FAILED", "failedData": {"error": status}}

    def _steps(self, name: str, node_name: str, node: Body) -> list[Step]:
        def provision() -> None:
            is_spot = "spot" in self._account.queued[name]
            self._account.tpu_nodes[node_name] = self._new_node(node_name, node) | {"queuedResource": name}
            self._account.tpu_nodes[node_name]["schedulingConfig"] = {"spot": is_spot, "preemptible": is_spot}
            self._account.queued[name]["state"] = {"state": STATES[1]}

        def activate() -> None:
            self._boot(node_name)
            self._account.queued[name]["state"] = {"state": STATES[2]}
            self._arm(name, node_name)

        return [Step(self._account.durations.tpu, provision), Step(self._account.durations.tpu, activate)]

    def _arm(self, name: str, node_name: str) -> None:
        length = str(self._account.queued[name].get("runDuration", {}).get("maxRunDuration", ""))
        if length:
            end = self._account.timeline.now() + timedelta(seconds=float(length.rstrip("s")))
            self._account.tpu_nodes[node_name]["schedulingConfig"]["terminationTimestamp"] = end.isoformat()
            self._account.timeline.at(end, lambda: self._expired(name, node_name))

    def _expired(self, name: str, node_name: str) -> None:
        if self._account.tpu_nodes.get(node_name, {}).get("queuedResource") == name:
            self._account.note(f"{node_name} has run as long as it may")
            self._remove(node_name)
            self._suspend(name)

    def _get_queued(self, call: GoogleCall) -> Body:
        return _in_version(call, self._seen(self._account.queued, call.path["name"]))

    def _list_queued(self, call: GoogleCall) -> Body:
        names = self._names(self._account.queued, call)
        return {"queuedResources": [_in_version(call, self._seen(self._account.queued, name)) for name in names]}

    def _delete_queued(self, call: GoogleCall) -> Body:
        name = _known(self._account.queued, call.path["name"])
        nodes = [node for node, body in self._account.tpu_nodes.items() if body.get("queuedResource") == name]
        if nodes and not call.query.get("force"):
            text = f"Cannot delete queued resource {name} while it has nodes. Delete them first, or use force."
            raise GoogleError(400, "failedPrecondition", text)
        if course := self._courses.pop(name, None):
            course.cancel()
        for node in nodes:
            self._remove(node)
        self._account.queued.pop(name)
        return self._operation(name, "delete")

    def _get_operation(self, call: GoogleCall) -> Body:
        body = self._operations.get(call.path["name"])
        if body is None:
            raise GoogleError(404, "notFound", f"Operation '{call.path['name']}' was not found")
        target = str(body["metadata"]["target"])
        course = self._courses.get(target)
        shown = {**body, "done": course is None}
        if course is not None:
            course.seen()
        elif body["metadata"]["verb"] == "create":
            shown["response"] = dict(self._account.tpu_nodes.get(target) or self._account.queued.get(target) or {})
        return shown

    def _operation(self, target: str, verb: str) -> Body:
        parent = "/".join(target.split("/")[:4])
        name = f"{parent}/operations/operation-{self._account.new_id()}"
        metadata = {"target": target, "verb": verb, "createTime": self._account.now_text(), "apiVersion": "v2"}
        self._operations[name] = {"name": name, "metadata": metadata}
        return {**self._operations[name], "done": False}

    def _check_node(self, name: str, node: Body) -> None:
        zone = name.split("/")[3]
        if name in self._account.tpu_nodes:
            raise GoogleError(409, "alreadyExists", f"Resource '{name}' already exists")
        kind = str(node.get("acceleratorType", ""))
        check_zone(kind, zone)
        if node.get("runtimeVersion") not in RUNTIMES:
            raise GoogleError(400, "badRequest", f"Invalid runtimeVersion: '{node.get('runtimeVersion', '')}'.")

    def _new_node(self, name: str, given: Body) -> Body:
        return {
            **given,
            "name": name,
            "id": self._account.new_id(),
            "state": "CREATING",
            "health": "HEALTH_UNSPECIFIED",
            "createTime": self._account.now_text(),
            "networkEndpoints": [{"ipAddress": "10.128.0.9", "port": 8470}],
        }

    def _boot(self, name: str) -> None:
        node = self._account.tpu_nodes[name]
        metadata = {f"instance/attributes/{key}": value for key, value in node.get("metadata", {}).items()}
        pages = {
            "instance/preempted": "FALSE",
            "instance/attributes/accelerator-type": str(node["acceleratorType"]),
            **metadata,
            **of_service_accounts(of_node(node)),
        }
        user_data = str(node.get("metadata", {}).get("user-data", "")).encode()
        order = MachineOrder(
            _host(name),
            user_data,
            metadata=pages,
            metadata_service="google",
            environment=storage_there(self._account),
            reaches=(self._account.port,),
        )
        booted = self._account.hypervisor.boot(order)
        node |= {"state": "READY", "health": "HEALTHY"}
        if node.get("networkConfig", {}).get("enableExternalIps"):
            node["networkEndpoints"] = [
                {"ipAddress": "10.128.0.9", "port": 8470, "accessConfig": {"externalIp": booted.address}}
            ]

    def _remove(self, name: str) -> None:
        if course := self._courses.pop(name, None):
            course.cancel()
        self._account.hypervisor.destroy(_host(name))
        self._account.tpu_nodes.pop(name, None)

    def _suspend(self, queued: str) -> None:
        if queued in self._account.queued:
            self._account.queued[queued]["state"] = {"state": "SUSPENDED", "suspendedData": {}}

    def _queued_for(self, node_name: str) -> str:
        for name, body in self._account.queued.items():
            spec = body["tpu"]["nodeSpec"][0]
            if node_name.endswith(f"/nodes/{spec['nodeId']}") and node_name.startswith("/".join(name.split("/")[:4])):
                return name
        return ""

    def _go(self, name: str, steps: list[Step]) -> None:
        def end(failure: Failure | None) -> None:
            self._courses.pop(name, None)

        self._courses[name] = Course(self._account.timeline, steps, lambda: None, end)
        self._courses[name].begin()

    def _seen(self, found: dict[str, Body], name: str) -> Body:
        shown = dict(found[_known(found, name)])
        if name in self._courses:
            self._courses[name].seen()
        return shown

    def _names(self, found: dict[str, Body], call: GoogleCall) -> list[str]:
        project, _, zone = call.path["parent"].rpartition("/locations/")
        names = [name for name in found if zone == "-" or name.startswith(f"{project}/locations/{zone}/")]
        return [name for name in names if name.startswith(f"{project}/")]


def _in_version(call: GoogleCall, queued: Body) -> Body:
    """Return a request as the version that was called shows it."""
    return {key: value for key, value in queued.items() if key not in ALPHA or call.path_text.startswith("/v2alpha1/")}


def _node_in_version(call: GoogleCall, node: Body) -> Body:
    """Return a node as the version that was called shows it: the older one has no time at which it ends."""
    scheduling = node.get("schedulingConfig", {})
    if "terminationTimestamp" not in scheduling or call.path_text.startswith("/v2alpha1/"):
        return node
    return {**node, "schedulingConfig": {key: value for key, value in scheduling.items() if key != "terminationTimestamp"}}


def _known(found: dict[str, Body], name: str) -> str:
    if name not in found:
        raise GoogleError(404, "notFound", f"Resource '{name}' was not found")
    return name


def _host(name: str) -> str:
    """Return the hypervisor's name of a node."""
    return f"tpu-{name.rpartition('/')[2]}"
