"""What the subscription is and what it may have: locations, resource providers, SKUs, usages and their limits."""

from collections.abc import Iterable

from ..calls import Reply
from .account import LOCATIONS, NAMESPACES, Account, Handler, page
from .errors import ArmError
from .sizes import RESTRICTED, SIZES, Size
from .things import Body, Machine
from .wire import ArmCall, write_result

GENEROUS = 1000.0
"""The limit of every quota that nobody has set."""

CORES, LOW_PRIORITY = "cores", "lowPriorityCores"
TAKES_ROOM = ("starting", "running", "stopping", "stopped", "deallocating")
MORE = "https://aka.ms/ProdportalCRP/#blade/Microsoft_Azure_Capacity/UsageAndQuota.ReactView"


class Places:
    """Answers what is about the subscription itself."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._registering: dict[str, object] = {}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        resources = "Microsoft.Resources"
        return {
            (resources, "subscriptions/LIST"): lambda call: page([self._subscription()]),
            (resources, "subscriptions/GET"): lambda call: self._subscription(),
            (resources, "subscriptions/locations/LIST"): self._locations,
            (resources, "tenants/LIST"): self._tenants,
            (resources, "providers/LIST"): lambda call: page([self._provider(name) for name in NAMESPACES]),
            (resources, "providers/GET"): lambda call: self._provider(self._known(call)),
            (resources, "providers/register"): self._register,
            (resources, "providers/unregister"): self._unregister,
            ("Microsoft.Compute", "skus/LIST"): self._skus,
            ("Microsoft.Compute", "locations/usages/LIST"): self._usages,
            ("Microsoft.Compute", "locations/vmSizes/LIST"): self._sizes,
        }

    def set_quota(self, name: str, value: float, locations: Iterable[str]) -> None:
        """Set a limit in vCPUs; see `AzureCloud.set_quota`.

        Raises:
            KeyError: there is no such quota.
        """
        known = next((one for one in _names() if _plain(one) == _plain(name)), None)
        if known is None:
            raise KeyError(name)
        for location in locations:
            self._account.quotas[location, known] = value

    def check_quota(self, location: str, size: Size, *, is_spot: bool, without: Machine | None = None) -> None:
        """Refuse a machine that does not fit, as Azure does: the family first, then the region.

        Raises:
            ArmError: OperationNotAllowed, with limit, usage and what is needed in its text.
        """
        for name, what in _counted(size, is_spot=is_spot):
            limit, used = self._limit(location, name), self._used(location, name, without)
            if used + size.vcpus > limit:
                raise _too_many(location, what, (limit, used, size.vcpus))

    def _subscription(self) -> Body:
        account = self._account
        return {
            "id": f"/subscriptions/{account.subscription}",
            "subscriptionId": account.subscription,
            "tenantId": account.tenant,
            "displayName": "cloudtrain playground",
            "state": "Enabled",
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01",
                "quotaId": "PayAsYouGo_2014-09-01",
                "spendingLimit": "Off",
            },
            "authorizationSource": "RoleBased",
        }

    def _tenants(self, call: ArmCall) -> Body:
        tenant = self._account.tenant
        return page([{"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": "Playground", "tenantCategory": "Home"}])

    def _locations(self, call: ArmCall) -> Body:
        root = f"/subscriptions/{self._account.subscription}/locations"
        return page(
            [
                {
                    "id": f"{root}/{name}",
                    "name": name,
                    "type": "Region",
                    "displayName": shown,
                    "regionalDisplayName": shown,
                    "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
                }
                for name, shown in LOCATIONS.items()
            ]
        )

    def _known(self, call: ArmCall) -> str:
        wanted = call.names["resourceProviderNamespace"]
        for name in NAMESPACES:
            if name.lower() == wanted.lower():
                return name
        raise ArmError("InvalidResourceNamespace", f"The resource namespace '{wanted}' is invalid.", status=404)

    def _provider(self, name: str) -> Body:
        registered = name in self._account.registered
        state = "Registering" if name in self._registering else "Registered" if registered else "NotRegistered"
        return {
            "id": f"/subscriptions/{self._account.subscription}/providers/{name}",
            "namespace": name,
            "registrationPolicy": "RegistrationRequired",
            "registrationState": state,
            "resourceTypes": [],
        }

    def _register(self, call: ArmCall) -> Body:
        name = self._known(call)
        if name not in self._account.registered and name not in self._registering:
            wait = self._account.durations.register
            self._registering[name] = self._account.timeline.after(wait, lambda: self._registered(name))
        return self._provider(name)

    def _registered(self, name: str) -> None:
        self._registering.pop(name, None)
        self._account.registered.add(name)

    def _unregister(self, call: ArmCall) -> Body:
        name = self._known(call)
        self._account.registered.discard(name)
        return self._provider(name)

    def _skus(self, call: ArmCall) -> Body:
        only = call.query.get("$filter", "").replace(" ", "").lower().partition("locationeq")[2].strip("'")
        places = [only] if only else list(LOCATIONS)
        found = [
            self._sku(place, size) for place in places if place in LOCATIONS for size in SIZES.values() if not size.is_retired
        ]
        return page([*found, *({"resourceType": "disks", "name": "StandardSSD_LRS", "locations": [place]} for place in places)])

    def _sku(self, location: str, size: Size) -> Body:
        is_away = (location, size.name) in RESTRICTED
        kind, _, rest = size.name.removeprefix("Standard_").partition("_")
        capabilities = {
            "MaxResourceVolumeMB": "0",
            "vCPUs": str(size.vcpus),
            "vCPUsAvailable": str(size.vcpus),
            "HyperVGenerations": "V1,V2",
            "MemoryGB": f"{size.memory_gb:g}",
            "CpuArchitectureType": "x64",
            "LowPriorityCapable": str(bool(size.spot_price)),
            "PremiumIO": "True",
            "TrustedLaunchDisabled": "False",
            **({"GPUs": str(size.gpus)} if size.gpus else {}),
        }
        restrictions = [
            {
                "type": "Location",
                "values": [location],
                "restrictionInfo": {"locations": [location]},
                "reasonCode": "NotAvailableForSubscription",
            }
        ]
        return {
            "resourceType": "virtualMachines",
            "name": size.name,
            "tier": "Standard",
            "size": f"{kind}{'_' if rest else ''}{rest}",
            "family": size.family,
            "locations": [location],
            "locationInfo": [{"location": location, "zones": list(size.zones), "zoneDetails": []}],
            "capabilities": [{"name": name, "value": value} for name, value in capabilities.items()],
            "restrictions": restrictions if is_away else [],
        }

    def _sizes(self, call: ArmCall) -> Body:
        return page(
            [
                {
                    "name": size.name,
                    "numberOfCores": size.vcpus,
                    "memoryInMB": int(size.memory_gb * 1024),
                    "maxDataDiskCount": 8,
                }
                for size in SIZES.values()
                if not size.is_retired
            ]
        )

    def _usages(self, call: ArmCall) -> Reply:
        location = call.location
        if location not in LOCATIONS:
            raise ArmError("NoRegisteredProviderFound", f"No registered resource provider found for location '{call.region}'.")
        items = [
            {
                "unit": "Count",
                "currentValue": self._used(location, name, None),
                "limit": int(self._limit(location, name)),
                "name": {"value": name, "localizedValue": shown},
            }
            for name, shown in _names().items()
        ]
        return write_result(call, page(items))

    def _limit(self, location: str, name: str) -> float:
        return self._account.quotas.get((location, name), GENEROUS)

    def _used(self, location: str, name: str, without: Machine | None) -> int:
        used = 0
        for machine in self._account.machines.values():
            # A spot machine that was deallocated by an eviction keeps its share, as docs.microsoft.com says of quota.
            has_room = machine.power in TAKES_ROOM or (machine.is_spot and machine.power == "deallocated") or not machine.power
            if machine.region == location and machine is not without and has_room and machine.failure is None:
                size = SIZES[machine.size]
                used += size.vcpus if name in dict(_counted(size, is_spot=machine.is_spot)) else 0
        return used


def _counted(size: Size, *, is_spot: bool) -> tuple[tuple[str, str], ...]:
    """Return the quotas that a size counts against, and how a refusal calls them."""
    if is_spot:
        return ((LOW_PRIORITY, "LowPriorityCores"),)
    return ((size.usage_name, f"{size.usage_name} Cores"), (CORES, "Total Regional Cores"))


def _names() -> dict[str, str]:
    families = {size.usage_name: f"{size.family.removesuffix('Family').strip()} Family vCPUs" for size in SIZES.values()}
    return {CORES: "Total Regional vCPUs", LOW_PRIORITY: "Total Regional Low-priority vCPUs", **families}


def _plain(name: str) -> str:
    return name.replace(" ", "").lower()


def _too_many(location: str, what: str, counted: tuple[float, int, int]) -> ArmError:
    limit, used, needed = counted
    text = (
        f"Operation could not be completed as it results in exceeding approved {what} quota. Additional details - Deployment "
        f"Model: Resource Manager, Location: {location}, Current Limit: {limit:.0f}, Current Usage: {used}, Additional "
        "Required: "
        f"{needed}, (Minimum) New Limit Required: {used + needed}. Setup Alerts when Quota reaches threshold. Learn more at "
        f"https://aka.ms/quotamonitoringalerting . Submit a request for Quota increase at {MORE} by specifying "
        "parameters listed "
        "in the ‘Details’ section for deployment to succeed. Please read more about quota limits at "
        "https://docs.microsoft.com/en-us/azure/azure-supportability/per-vm-quota-requests"
    )
    return ArmError("OperationNotAllowed", text)
