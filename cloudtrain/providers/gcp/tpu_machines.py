"""Looking at TPU machines: the request in Google's queue, which has our note and the end, and the node that came of it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ...model.errors import InstanceNotFoundError, PermissionDeniedError, ProviderError
from ...model.instance import Instance, InstanceRef, InstanceState
from ...model.lease import GuestEnd
from ...model.spec import Market
from ..reach import ssh_endpoint
from ..written import read_moment, read_number
from . import notes
from .account import NAME, Account
from .describe import last, region_of
from .translate import is_absent

PREFIX = "tpu/"
"""How the id of a TPU machine begins; Google's name of its request and of its node is the rest."""

LIST = "tpu.projects.locations.queuedResources.list"
GET = "tpu.projects.locations.queuedResources.get"
GET_NODE = "tpu.projects.locations.nodes.get"
ATTENDED = "attended"
"""In the note of a machine that only whoever rented it ends."""

WAITING = frozenset({"CREATING", "ACCEPTED", "WAITING_FOR_RESOURCES"})

_REQUEST_STATES = {
    **dict.fromkeys((*WAITING, "PROVISIONING"), InstanceState.PENDING),
    **dict.fromkeys(("SUSPENDING", "DELETING"), InstanceState.TERMINATING),
    **dict.fromkeys(("FAILED", "SUSPENDED"), InstanceState.TERMINATED),  # the request stays, and costs nothing
}
_NODE_STATES = {
    "READY": InstanceState.RUNNING,
    **dict.fromkeys(("CREATING", "STARTING", "RESTARTING", "REIMAGING", "REPAIRING"), InstanceState.PENDING),
    "STOPPING": InstanceState.STOPPING,
    "STOPPED": InstanceState.POWERED_OFF,  # that it costs nothing then is not written anywhere
    "DELETING": InstanceState.TERMINATING,
    **dict.fromkeys(("PREEMPTED", "TERMINATED"), InstanceState.TERMINATED),
}

Described = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FoundTpu:
    """A request for a TPU machine, and its node when there is one."""

    request: Described
    node: Described = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return Google's name of the request, which the node has as well."""
        return last(str(self.request["name"]))

    @property
    def zone(self) -> str:
        """Return the zone it is asked for in."""
        return str(self.request["name"]).split("/")[3]

    @property
    def wanted(self) -> Described:
        """Return the node as it was asked for."""
        specs: Sequence[Described] = self.request.get("tpu", {}).get("nodeSpec", ())
        node: Described = specs[0].get("node", {}) if specs else {}
        return node

    @property
    def note(self) -> notes.Note:
        """Return what we wrote on it."""
        return notes.read(str(self.wanted.get("metadata", {}).get(notes.OURS, "")))

    @property
    def queue_state(self) -> str:
        """Return where the request stands, in Google's word."""
        return str(self.request.get("state", {}).get("state", ""))

    @property
    def state(self) -> InstanceState:
        """Return its state; a word we do not know may bill."""
        if self.queue_state == "ACTIVE":
            return _NODE_STATES.get(str(self.node.get("state", "")), InstanceState.UNKNOWN)
        return _REQUEST_STATES.get(self.queue_state, InstanceState.UNKNOWN)

    @property
    def asked_at(self) -> datetime | None:
        """Return when it was asked for, as Google says."""
        return _moment(str(self.request.get("createTime", "")))

    @property
    def run_length(self) -> timedelta | None:
        """Return how long Google lets it run at most; None where it shows no such end."""
        seconds = read_number(str(self.request.get("runDuration", {}).get("maxRunDuration", "")).removesuffix("s"))
        return timedelta(seconds=seconds) if seconds else None

    @property
    def deadline(self) -> datetime | None:
        """Return when it ends: as Google shows it of a node that runs, and no later than its note says; None without an end."""
        noted = read_moment(self.note.get(notes.DEADLINE, ""))
        if self.run_length is None:
            return noted if self.note.get(ATTENDED) else None
        shown = _moment(str(self.node.get("schedulingConfig", {}).get("terminationTimestamp", "")))
        return shown if shown is not None else noted

    @property
    def path(self) -> str:
        """Return where Google is asked about the request."""
        return str(self.request["name"])

    @property
    def node_path(self) -> str:
        """Return where Google is asked about the node."""
        return f"{self.path.partition('/queuedResources/')[0]}/nodes/{self.name}"

    def shown(self, account: Account) -> Instance:
        """Return it in the contract's words."""
        note, state, address = self.note, self.state, _address(self.node)
        return Instance(
            ref=InstanceRef(NAME, f"{PREFIX}{self.name}", region_of(self.zone), self.zone),
            name=note.get(notes.MACHINE) or self.name,
            state=state,
            token=note.get(notes.TOKEN, ""),
            owner=note.get(notes.OWNER, ""),
            instance_type=note.get(notes.TYPE) or str(self.wanted.get("acceleratorType", "")),
            address=address,
            endpoint=ssh_endpoint(
                address,
                shelf=account.keys,
                token=self.name,
                user=note.get(notes.USER, ""),
                name=note.get(notes.MACHINE, ""),
                machine=account.machine,
            )
            if state is InstanceState.RUNNING
            else None,
            usd_per_hour=read_number(note.get(notes.PRICE, "")),
            beside_usd_per_hour=read_number(note.get(notes.BESIDE, "")) or 0.0,
            launched_at=_moment(str(self.node.get("createTime") or self.request.get("createTime", ""))),
            deadline=self.deadline,
            market=Market.SPOT if "spot" in self.request else Market.ON_DEMAND,
            gpu_count=int(read_number(note.get(notes.GPUS, "")) or 0),
            guest_end=GuestEnd.NONE,  # switching itself off ends nothing that is paid for
            console_url=(
                f"https://console.cloud.google.com/compute/tpus/details/{self.zone}/{self.name}?project={account.rest.project}"
            ),
        )


def is_tpu(ref: InstanceRef) -> bool:
    """Say whether a reference is one to a TPU machine."""
    return ref.id.startswith(PREFIX)


def find_tpu(ref: InstanceRef, account: Account) -> FoundTpu:
    """Return the machine. One call, and one more when it has a node; a look in all zones before it is believed gone.

    Raises:
        InstanceNotFoundError: Google knows no such request, or it is none of ours.
        ProviderUnavailableError: Google did not answer.
    """
    name = ref.id.removeprefix(PREFIX)
    request = _looked(GET, account.below(f"locations/{ref.zone}/queuedResources/{name}"), account)
    found = FoundTpu(request) if request is not None else of_name(name, account)
    if found is None or notes.OURS not in found.wanted.get("labels", {}):
        raise InstanceNotFoundError(
            f"Google knows no TPU {name} of ours in {ref.zone or 'any zone'}", "Look: cloudtrain status"
        )
    return _with_node(found, account)


def of_name(name: str, account: Account) -> FoundTpu | None:
    """Return the request of this name, in whichever zone; None when there is none.

    Raises:
        PermissionDeniedError: the account may not list requests: what it would rent, it could not find again.
    """
    return next((found for found in _listed(account) if found.name == name), None)


def all_tpus(account: Account) -> list[FoundTpu]:
    """Return all of ours in every zone, without their nodes. One call.

    Where the project has no TPU service, or the login may not list its requests, there is none that we rented.
    """
    try:
        return _listed(account)
    except PermissionDeniedError:
        return []


def tpus_everywhere(account: Account) -> list[Instance]:
    """Return all of ours that may cost, in the contract's words. One call, and one for each that has a node."""
    found = [each for each in all_tpus(account) if each.state is not InstanceState.TERMINATED]
    if not found:
        return []
    with ThreadPoolExecutor(min(len(found), 16)) as pool:
        whole = list(pool.map(lambda each: _with_node(each, account), found))
    return [each.shown(account) for each in whole if each.state is not InstanceState.TERMINATED]


def _listed(account: Account) -> list[FoundTpu]:
    path = account.below("locations/-/queuedResources")
    pages = account.rest.pages(LIST, path, query={"pageSize": "500"}, key="queuedResources")
    found = (FoundTpu(request) for request in pages)
    return [each for each in found if notes.OURS in each.wanted.get("labels", {})]


def _with_node(found: FoundTpu, account: Account) -> FoundTpu:
    if found.queue_state != "ACTIVE":
        return found
    return FoundTpu(found.request, _looked(GET_NODE, found.node_path, account) or {})


def _looked(method_id: str, path: str, account: Account) -> Described | None:
    try:
        return account.rest.call(method_id, "GET", path)
    except ProviderError as error:
        if not is_absent(error):
            raise
        return None


def _address(node: Described) -> str:
    for endpoint in node.get("networkEndpoints", ())[:1]:
        return str(endpoint.get("accessConfig", {}).get("externalIp") or endpoint.get("ipAddress") or "")
    return ""


def _moment(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo is not None else None
