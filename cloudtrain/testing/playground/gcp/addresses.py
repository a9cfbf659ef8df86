"""Static addresses: reserved, listed, given back."""

import ipaddress

from .account import Account, Body, Handler
from .errors import GoogleError, not_found
from .hardware import REGIONS
from .listing import aggregated, listed
from .operations import Operation, Operations
from .wire import GoogleCall

FIRST = ipaddress.ip_address("203.0.113.10")


class Addresses:
    """Answers what is about addresses. None of them leads anywhere."""

    def __init__(self, account: Account, operations: Operations) -> None:
        self._account, self._operations = account, operations

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {
            "compute.addresses.get": self._get,
            "compute.addresses.list": self._list,
            "compute.addresses.aggregatedList": self._all,
            "compute.addresses.insert": self._insert,
            "compute.addresses.delete": self._delete,
        }

    def _found(self, call: GoogleCall) -> Body:
        region, name = call.path["region"], call.path["address"]
        if (region, name) not in self._account.addresses:
            raise not_found(f"projects/{self._account.project}/regions/{region}/addresses/{name}")
        return self._account.addresses[region, name]

    def _get(self, call: GoogleCall) -> Body:
        return self._found(call)

    def _list(self, call: GoogleCall) -> Body:
        region = call.path["region"]
        found = [one for (place, _), one in self._account.addresses.items() if place == region]
        return listed(call, "compute#addressList", found, self._account.link(f"regions/{region}/addresses"))

    def _all(self, call: GoogleCall) -> Body:
        found = [(f"regions/{place}", one) for (place, _), one in self._account.addresses.items()]
        link = self._account.link("aggregated/addresses")
        return aggregated(
            call, "compute#addressAggregatedList", "addresses", found, [f"regions/{one}" for one in REGIONS], link
        )

    def _insert(self, call: GoogleCall) -> Operation:
        region, name = call.path["region"], str(call.resource["name"])
        path = f"regions/{region}/addresses/{name}"
        if (region, name) in self._account.addresses:
            raise GoogleError(409, "alreadyExists", f"The resource 'projects/{self._account.project}/{path}' already exists")
        made = {
            "kind": "compute#address",
            "id": self._account.new_id(),
            "creationTimestamp": self._account.now_text(),
            "addressType": "EXTERNAL",
            "networkTier": "PREMIUM",
            **call.resource,
            "address": str(FIRST + len(self._account.addresses)),
            "status": "RESERVED",
            "region": self._account.link(f"regions/{region}"),
            "selfLink": self._account.link(path),
        }
        return self._operations.change(call, made, lambda: self._account.addresses.update({(region, name): made}))

    def _delete(self, call: GoogleCall) -> Operation:
        address, key = self._found(call), (call.path["region"], call.path["address"])
        return self._operations.change(call, address, lambda: _forget(self._account, key))


def _forget(account: Account, key: tuple[str, str]) -> None:
    account.addresses.pop(key, None)
