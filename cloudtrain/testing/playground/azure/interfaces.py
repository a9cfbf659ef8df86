"""A machine's network interfaces: those it names, and those it brings itself."""

from .account import Account, new_guid
from .errors import ArmError, invalid
from .network import ADDRESSES, INTERFACES, Network
from .things import Body, Resource


class Interfaces:
    """Ties interfaces to machines."""

    def __init__(self, account: Account, network: Network) -> None:
        self._account, self._network = account, network

    def claimed(self, machine: str, group: str, location: str, profile: Body) -> Body:
        """Return the network profile that a machine is shown with; its interfaces are its own from now on.

        Raises:
            ArmError: there is none, or one belongs to another machine.
        """
        given = list(profile.get("networkInterfaces") or [])
        for configuration in profile.get("networkInterfaceConfigurations") or []:
            if not profile.get("networkApiVersion"):
                raise invalid(
                    "networkApiVersion", "networkApiVersion is required when networkInterfaceConfigurations is specified."
                )
            given.append(self._made(machine, group, location, configuration))
        if not given:
            raise invalid("networkProfile.networkInterfaces", "The VM needs at least one network interface.")
        for one in given:
            self._tie(machine, location, str(one.get("id", "")))
        return {"networkInterfaces": given}

    def _tie(self, machine: str, location: str, id: str) -> None:
        nic = self._account.find(id)
        if nic is None or nic.type != INTERFACES or nic.body["location"] != location:
            text = (
                f"Resource {id} referenced by resource {machine} was not found. Please make sure that the referenced resource "
            )
            raise ArmError(
                "InvalidResourceReference", f"{text}exists, and that both resources are in the same region.", status=404
            )
        owner = nic.properties.get("virtualMachine")
        if owner and str(owner["id"]).lower() != machine.lower():
            raise ArmError("NicInUse", f"Network Interface {id} is used by existing resource {owner['id']}.")
        nic.properties["virtualMachine"] = {"id": machine}

    def _made(self, machine: str, group: str, location: str, configuration: Body) -> Body:
        """Make the interface, and the addresses, that a machine brings itself."""
        properties = dict(configuration.get("properties") or {})
        option = properties.pop("deleteOption", "Detach")
        parts = []
        for one in properties.pop("ipConfigurations", []):
            kept = dict(one.get("properties") or {})
            if wanted := kept.pop("publicIPAddressConfiguration", None):
                kept["publicIPAddress"] = self._address(group, location, wanted)
            parts.append({"name": one["name"], "properties": kept})
        # As the service does, so that two machines may bring interfaces of the same name.
        name = f"{configuration['name']}-{new_guid()[:8]}"
        known = {key: properties[key] for key in ("networkSecurityGroup", "enableAcceleratedNetworking") if key in properties}
        given = {
            "location": location,
            "tags": configuration.get("tags") or {},
            "properties": {**known, "ipConfigurations": parts},
        }
        nic = self._network.make(INTERFACES, group, name, given)
        return {"id": nic.id, "properties": {"primary": bool(properties.get("primary", True)), "deleteOption": option}}

    def _address(self, group: str, location: str, wanted: Body) -> Body:
        properties = dict(wanted.get("properties") or {})
        option = properties.pop("deleteOption", "Detach")
        given = {
            "location": location,
            "tags": wanted.get("tags") or {},
            "sku": dict(wanted.get("sku") or {}),
            "properties": {"publicIPAllocationMethod": "Static", **properties, "deleteOption": option},
        }
        made: Resource = self._network.make(ADDRESSES, group, f"{wanted['name']}-{new_guid()[:8]}", given)
        return {"id": made.id}
