"""What must hold of every machine of the pretend Google Cloud at every moment."""

from collections.abc import Iterator

from .account import Account, Body, Machine
from .hardware import last
from .network import may_reach, sources

PREFIX = "cloudtrain"
LIVE = ("PROVISIONING", "STAGING", "RUNNING")
SSH = 22
STORAGE_AND_LOGS = {f"https://www.googleapis.com/auth/{name}" for name in ("devstorage.read_write", "logging.write")}


class Rules:
    """What must hold of an account. A machine of ours is one with a label whose key begins with "cloudtrain".

    A rule for one address alone is never held against it: whose address that is cannot be known here.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._looked_at: dict[str, tuple[object, ...]] = {}

    def wrong(self) -> Iterator[tuple[str, str]]:
        """Look at everything; give what is wrong as a resource and a sentence about it."""
        for machine in self._account.machines.values():
            looks = (self._account.firewall_changes, *_looks(machine))
            if machine.state in LIVE and self._looked_at.get(machine.id) != looks:
                self._looked_at[machine.id] = looks
                for what in self._wrong_with(machine):
                    yield machine.id, what
        for name, node in self._account.tpu_nodes.items():
            queued = self._account.queued.get(str(node.get("queuedResource", "")), {})
            if "maxRunDuration" not in queued.get("runDuration", {}):
                yield name, "this TPU has no maxRunDuration, so nothing ends it"

    def _wrong_with(self, machine: Machine) -> Iterator[str]:
        if not any(key.startswith(PREFIX) for key in machine.tags):
            yield "it carries no label of ours"
        yield from _wrong_with_end(machine)
        yield from self._wrong_with_disks(machine)
        yield from self._open_to_others(machine)
        for given in machine.body.get("serviceAccounts", []):
            yield from self._wrong_with_account(given)
        if machine.metadata.get("block-project-ssh-keys", "").upper() != "TRUE":
            yield "the project's own SSH keys let others in: block-project-ssh-keys is not TRUE"
        if not machine.user_data:
            yield "it has no user-data, so nothing arms its shutdown"

    def _wrong_with_account(self, given: Body) -> Iterator[str]:
        """Look at a service account: one of ours reaches one folder of one bucket, and its tokens reach Storage alone."""
        email = given["email"]
        if email in self._account.allowed_service_accounts:
            return
        if not email.startswith(PREFIX):
            yield f"it has the service account {email}, which nobody asked for"
            return
        if set(given["scopes"]) - STORAGE_AND_LOGS:
            yield f"its service account {email} may use more than Storage: {given['scopes']}"
        rights = [
            binding
            for bucket in self._account.buckets.values()
            for binding in bucket.bindings
            if f"serviceAccount:{email}" in binding["members"]
        ]
        if len(rights) != 1:
            yield f"its service account {email} has {len(rights)} rights in buckets"

    def _wrong_with_disks(self, machine: Machine) -> Iterator[str]:
        for attached in machine.body["disks"]:
            if not attached["autoDelete"]:
                yield f"its disk {attached['deviceName']} outlives it"
            disk = self._account.disks.get((machine.zone, last(attached["source"])), {})
            if not any(key.startswith(PREFIX) for key in disk.get("labels", {})):
                yield f"its disk {attached['deviceName']} carries no label of ours"

    def _open_to_others(self, machine: Machine) -> Iterator[str]:
        for source in sources(self._account):
            if may_reach(self._account, source, machine, SSH):
                yield f"port {SSH} is open to {source}"
                return


def _looks(machine: Machine) -> tuple[object, ...]:
    """Return what changes when anything about a machine does that this watches."""
    body = machine.body
    disks = tuple((disk["source"], disk["autoDelete"]) for disk in body["disks"])
    parts = (body["labelFingerprint"], body["tags"]["fingerprint"], body["metadata"]["fingerprint"])
    end = body["resourceStatus"]["scheduling"].get("terminationTimestamp")
    return (
        body["id"],
        machine.state,
        *parts,
        machine.scheduling.get("automaticRestart"),
        "maxRunDuration" in machine.scheduling,
        end,
        disks,
    )


def _wrong_with_end(machine: Machine) -> Iterator[str]:
    scheduling = machine.scheduling
    if "maxRunDuration" not in scheduling and "terminationTime" not in scheduling:
        yield "it has no maxRunDuration and no terminationTime"
    elif machine.state == "RUNNING" and "terminationTimestamp" not in machine.body["resourceStatus"]["scheduling"]:
        yield "it runs without a terminationTimestamp"
    if scheduling["automaticRestart"]:
        yield "it starts again by itself"
