"""Where in the network a machine stands: the project's default one, a named one, or one we made because we were asked to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...model.errors import NoCapacityError, ProviderError
from ...model.offer import Offer
from ...model.spec import MachineSpec
from .account import Account
from .describe import last
from .operations import asked, until_done
from .translate import is_absent

DEFAULT, MADE = "default", "cloudtrain"


@dataclass(frozen=True, slots=True)
class Place:
    """A place for one machine.

    Attributes:
        network: its path ("projects/P/global/networks/default").
        subnetwork: its path in the machine's region.
        is_public: whether the machine asks for a public address.
    """

    network: str
    subnetwork: str
    is_public: bool

    @property
    def project(self) -> str:
        """Return the project that owns the network, and its firewall rules."""
        return self.network.split("/")[1]


def find_place(machine: MachineSpec, offer: Offer, account: Account) -> Place:
    """Return where a machine of this offer stands. Makes a network only when `machine.create_network` asks for one.

    Raises:
        NoCapacityError: the network has no subnetwork in the offer's region; another region may do.
        ProviderError: there is no network.
    """
    network = _named(machine, account) if machine.network else _usual(machine, account)
    marker = f"/regions/{offer.region}/subnetworks/"
    here = sorted(each for each in network.get("subnetworks", ()) if marker in each)
    if not here:
        raise NoCapacityError(
            f"The network {network['name']} has no subnetwork in {offer.region}",
            "Another region may do, or name another network.",
        )
    # Behind a proxy of one's own a named network may be private, and a public address costs money.
    is_public = not (machine.network and machine.ssh.proxy_command)
    return Place(_path(network["selfLink"]), _path(here[0]), is_public)


def owner_of(machine: MachineSpec | None) -> str:
    """Return the project that owns the network a machine config names, "" for our own."""
    network = machine.network if machine is not None else ""
    return _path(network).split("/")[1] if "/" in network else ""


def _named(machine: MachineSpec, account: Account) -> Mapping[str, Any]:
    path = _path(machine.network) if "/" in machine.network else account.below(f"global/networks/{machine.network}")
    found = _look(path, account)
    if found is None:
        raise ProviderError(f"There is no network {machine.network}", "See those there are: gcloud compute networks list")
    return found


def _usual(machine: MachineSpec, account: Account) -> Mapping[str, Any]:
    default, made = account.below(f"global/networks/{DEFAULT}"), account.below(f"global/networks/{MADE}")
    found = _look(default, account) or _look(made, account)
    if found is None and machine.create_network:
        _make(account)
        found = _look(made, account)
    if found is None:
        raise ProviderError(
            f"The project {account.rest.project} has no default network, and none is named in the machine config",
            f"Make one (it costs nothing): cloudtrain start {machine.name} --create-network\n"
            "Or name one: network: NAME (gcloud compute networks list)",
        )
    return found


def _look(path: str, account: Account) -> Mapping[str, Any] | None:
    try:
        return account.rest.call("compute.networks.get", "GET", path)
    except ProviderError as error:
        if not is_absent(error):
            raise
        return None


def _make(account: Account) -> None:
    body = {"name": MADE, "autoCreateSubnetworks": True, "description": "Made by cloudtrain, which was asked to"}
    path = account.below("global/networks")
    until_done(asked(account, "compute.networks.insert", "POST", path, body=body), account)


def _path(address: str) -> str:
    """Return the part of an address that begins with the project."""
    _, mark, rest = address.partition("projects/")
    if not mark or not last(rest):
        raise ProviderError(f"{address!r} names no network", "Write its name, or projects/PROJECT/global/networks/NAME")
    return mark + rest
