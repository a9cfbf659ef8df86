"""Service quotas in vCPUs: told, settable, and enforced at every launch."""

from collections.abc import Iterable

from .account import Account, Handler
from .hardware import vcpus
from .wire import ApiCall, CloudError

GENEROUS = 1152.0
"""The limit of every quota that nobody has set."""

FAMILIES = (
    # (beginnings of the type, on-demand code, spot code, what EC2 calls them); the first that fits decides
    (("p5", "p6"), "L-417A185B", "L-C4BD4855", "P"),
    (("p",), "L-417A185B", "L-7212CCBC", "P"),
    (("g", "vt"), "L-DB2E81BA", "L-3819A6DF", "G and VT"),
    (("trn",), "L-2C3B7624", "L-6B0D517C", "Trn"),
    (("inf",), "L-1945791B", "L-B5D1601B", "Inf"),
    (("dl",), "L-6E869C2A", "L-85EED4F7", "DL"),
    (("",), "L-1216C47A", "L-34B43A08", "Standard (A, C, D, H, I, M, R, T, Z)"),
)
SPOT_NAMES = {"L-7212CCBC": "All P4, P3 and P2 Spot Instance Requests", "L-C4BD4855": "All P5 Spot Instance Requests"}
NAMES = {
    code: name
    for _, on_demand, spot, family in FAMILIES
    for code, name in (
        (on_demand, f"Running On-Demand {family} instances"),
        (spot, SPOT_NAMES.get(spot, f"All {family} Spot Instance Requests")),
    )
}
COUNTED = ("pending", "running", "stopping", "shutting-down")


def quota_code(instance_type: str, market: str) -> str:
    """Return the code of the quota that a machine counts against; the market is "spot" or "on-demand"."""
    family = next(family for family in FAMILIES if instance_type.startswith(family[0]))
    return family[2] if market == "spot" else family[1]


class Quotas:
    """Answers for Service Quotas, and says how many more machines fit."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return the calls this answers."""
        return {
            ("service-quotas", "GetServiceQuota"): self._get,
            ("service-quotas", "GetAWSDefaultServiceQuota"): self._get_default,
            ("service-quotas", "ListServiceQuotas"): self._list,
        }

    def set(self, code: str, value: float, regions: Iterable[str]) -> None:
        """Set a limit, in vCPUs.

        Raises:
            KeyError: there is no such quota.
        """
        if code not in NAMES:
            raise KeyError(code)
        for region in regions:
            self._account.quotas[region, code] = value

    def room(self, region: str, instance_type: str, market: str) -> int:
        """Return how many more machines of a type fit."""
        code = quota_code(instance_type, market)
        used = sum(
            vcpus(machine.instance.instance_type)
            for machine in self._account.in_region(region)
            if machine.state in COUNTED and code == quota_code(machine.instance.instance_type, _market(machine.spot_request))
        )
        return int((self._limit(region, code) - used) // vcpus(instance_type))

    def refusal(self, region: str, instance_type: str, market: str) -> CloudError:
        """Return what EC2 says when there is no room."""
        if market == "spot":
            return CloudError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
        limit = int(self._limit(region, quota_code(instance_type, market)))
        return CloudError(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance bucket "
            "that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to "
            "request an adjustment to this limit.",
        )

    def _limit(self, region: str, code: str) -> float:
        return self._account.quotas.get((region, code), GENEROUS)

    def _get(self, call: ApiCall) -> object:
        code = self._known(call)
        if not code:
            return self._account.moto.answer(call)
        return {"Quota": _described(call.region, code, self._limit(call.region, code))}

    def _get_default(self, call: ApiCall) -> object:
        code = self._known(call)
        return {"Quota": _described(call.region, code, 0.0)} if code else self._account.moto.answer(call)

    def _list(self, call: ApiCall) -> object:
        if call.parameters.get("ServiceCode") != "ec2":
            return self._account.moto.answer(call)
        return {"Quotas": [_described(call.region, code, self._limit(call.region, code)) for code in sorted(NAMES)]}

    def _known(self, call: ApiCall) -> str:
        """Return the code asked for, or "" when the service is not ours to answer for."""
        if call.parameters.get("ServiceCode") != "ec2":
            return ""
        code = str(call.parameters.get("QuotaCode", ""))
        if code not in NAMES:
            text = "The request failed because the specified service quota does not exist."
            raise CloudError("NoSuchResourceException", text, 404)
        return code


def _market(spot_request: str) -> str:
    return "spot" if spot_request else "on-demand"


def _described(region: str, code: str, value: float) -> dict[str, object]:
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{region}:123456789012:ec2/{code}",
        "QuotaCode": code,
        "QuotaName": NAMES[code],
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
