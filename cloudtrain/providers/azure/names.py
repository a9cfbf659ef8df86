"""What the things of one machine are called. Names follow from the order's token, so that asking twice makes one of each."""

import hashlib
import re
from dataclasses import dataclass

_GROUP = re.compile(r"ct-[A-Za-z0-9](?:[A-Za-z0-9-]{0,48}[A-Za-z0-9])?")
"""What we take for a group of ours, with room for what the names in it add: a machine's is at most 64 letters."""


def name_of(token: str) -> str:
    """Return the name of an order's resource group: the token itself where it can be one, else one that only it gives."""
    return token if _GROUP.fullmatch(token) else "ct-" + hashlib.sha256(token.encode()).hexdigest()[:32]


def is_name(text: str) -> bool:
    """Say whether a group of ours may be called so."""
    return _GROUP.fullmatch(text) is not None


def zone_number(zone: str) -> str:
    """Return Azure's own name of a zone ("1") by the one we show ("eastus-1"); "" for none."""
    return zone.rpartition("-")[2]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the things of one machine lie in Azure.

    Attributes:
        subscription: its id.
        name: the group's name, and the machine's.
    """

    subscription: str
    name: str

    @property
    def group(self) -> str:
        """Return the path of the resource group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.name}"

    @property
    def machine(self) -> str:
        """Return the path of the virtual machine, which is its id, too."""
        return f"{self.group}/providers/Microsoft.Compute/virtualMachines/{self.name}"

    @property
    def guard(self) -> str:
        """Return the path of the network security group."""
        return f"{self._network}/networkSecurityGroups/{self.name}-guard"

    @property
    def network(self) -> str:
        """Return the path of the virtual network."""
        return f"{self._network}/virtualNetworks/{self.name}-net"

    @property
    def subnet(self) -> str:
        """Return the path of the network's only subnet."""
        return f"{self.network}/subnets/machine"

    @property
    def address(self) -> str:
        """Return the path of the public address."""
        return f"{self._network}/publicIPAddresses/{self.name}-ip"

    @property
    def interface(self) -> str:
        """Return the path of the network interface."""
        return f"{self._network}/networkInterfaces/{self.name}-nic"

    @property
    def disk(self) -> str:
        """Return the boot disk's name."""
        return f"{self.name}-disk"

    @property
    def daily_schedule(self) -> str:
        """Return the path of the daily schedule; Azure knows one by this name only."""
        return f"{self.group}/providers/Microsoft.DevTestLab/schedules/shutdown-computevm-{self.name}"

    @property
    def _network(self) -> str:
        return f"{self.group}/providers/Microsoft.Network"
