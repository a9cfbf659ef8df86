"""The account's limits in vCPUs: which one a machine counts against, how much of it is used, how to ask for more.

EC2 has one limit for each group of families and each market, per region. There is no call that says how much is used: it is
the sum over the machines that run.
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ...model.errors import ProviderError
from ...model.offer import Offer
from ...model.spec import Market
from .clients import Clients
from .market import sizes
from .translate import calling, code_of

SERVICE = "ec2"


@dataclass(frozen=True, slots=True)
class Family:
    """Instance types that share a limit. A market without a code has a limit of a code we do not know."""

    name: str
    codes: Mapping[Market, str]

    def code(self, market: Market) -> str:
        """Return the limit's code, or "" when it is not known."""
        return self.codes.get(market, "")


def _family(name: str, on_demand: str, spot: str = "") -> Family:
    codes = {Market.ON_DEMAND: on_demand, Market.SPOT: spot}
    return Family(name, {market: code for market, code in codes.items() if code})


P = _family("P", "L-417A185B", "L-7212CCBC")
P5 = _family("P5", "L-417A185B", "L-C4BD4855")
P6 = _family("P6", "L-417A185B")  # The code of its spot limit is not known: sources disagree.
G = _family("G and VT", "L-DB2E81BA", "L-3819A6DF")
TRN = _family("Trn", "L-2C3B7624", "L-6B0D517C")
INF = _family("Inf", "L-1945791B", "L-B5D1601B")
DL = _family("DL", "L-6E869C2A", "L-85EED4F7")
STANDARD = _family("Standard", "L-1216C47A", "L-34B43A08")

_BY_LETTERS = {"g": G, "gr": G, "vt": G, "p": P, "trn": TRN, "inf": INF, "dl": DL}
_BY_GENERATION = {"p5": P5, "p6": P6}
_STANDARD = frozenset(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"))
_TYPE = re.compile(r"([a-z]+)(\d+)")


def family_of(instance_type: str) -> Family | None:
    """Return the family an instance type counts in, or None for one we know no limit of (high memory, Mac, HPC)."""
    found = _TYPE.match(instance_type)
    if found is None:
        return None
    letters, number = found.groups()
    if letters in _STANDARD:
        return STANDARD
    return _BY_GENERATION.get(f"{letters}{number}") or _BY_LETTERS.get(letters)


def quota_code(instance_type: str, market: Market) -> str:
    """Return the code of the limit a machine counts against, or "" when it is not known."""
    family = family_of(instance_type)
    return "" if family is None else family.code(market)


def request_line(code: str, region: str, vcpus: int) -> str:
    """Return the line that asks AWS for a limit of so many vCPUs."""
    return (
        f"aws service-quotas request-service-quota-increase --service-code {SERVICE} --quota-code {code}"
        f" --desired-value {vcpus} --region {region}"
    )


def outlook_quota(clients: Clients, offer: Offer) -> tuple[str, bool]:
    """Return how much of the limit for an offer is used ("8 of 64 vCPU used"), and whether the machine still fits.

    What cannot be found out is "" and fits.
    """
    code = quota_code(offer.instance_type, offer.market)
    if not code:
        return "", True
    try:
        with ThreadPoolExecutor(1) as pool:
            used_asked = pool.submit(vcpus_in_use, clients, offer.region)
            limit = limit_vcpus(clients, offer.region, code)
            used = used_asked.result().get(code, 0)
    except ProviderError:
        return "", True
    return used_words(used, limit), used + max(offer.vcpus, 1) <= limit


def used_words(used: int, limit: int) -> str:
    """Return "8 of 64 vCPU used"."""
    return f"{used} of {limit} vCPU used"


def limit_vcpus(clients: Clients, region: str, code: str) -> int:
    """Return the account's limit of this code in a region, vCPUs.

    Raises:
        ProviderError: Service Quotas refused or did not answer.
    """
    quotas = clients.quotas(region)
    try:
        with calling(region):
            found = quotas.get_service_quota(ServiceCode=SERVICE, QuotaCode=code)
    except ProviderError as error:
        if code_of(error) != "NoSuchResourceException":
            raise
        # The account's own value was never set: the default holds.
        with calling(region):
            found = quotas.get_aws_default_service_quota(ServiceCode=SERVICE, QuotaCode=code)
    return int(found["Quota"]["Value"])


def vcpus_in_use(clients: Clients, region: str) -> dict[str, int]:
    """Return the vCPUs of all machines that run or begin to, anybody's, by the code of the limit they count against.

    Raises:
        ProviderError: EC2 refused or did not answer.
    """
    with calling(region):
        pages = clients.ec2(region).get_paginator("describe_instances")
        found = pages.paginate(
            Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}],
            PaginationConfig={"PageSize": 1000},
        ).build_full_result()
    running = [instance for reservation in found.get("Reservations", []) for instance in reservation["Instances"]]
    silent = {instance["InstanceType"] for instance in running if _own_vcpus(instance) is None}
    by_type = {name: size.vcpus for name, size in sizes(clients, region, sorted(silent)).items()} if silent else {}
    return count_vcpus(running, by_type)


def count_vcpus(instances: Iterable[Mapping[str, Any]], by_type: Mapping[str, int]) -> dict[str, int]:
    """Return the vCPUs of machines as DescribeInstances shows them, by the code of the limit they count against.

    A machine that does not say how many it has, has what `by_type` says of its type.
    """
    used: dict[str, int] = {}
    for instance in instances:
        market = Market.SPOT if instance.get("InstanceLifecycle") == "spot" else Market.ON_DEMAND
        code = quota_code(instance["InstanceType"], market)
        vcpus = _own_vcpus(instance)
        used[code] = used.get(code, 0) + (by_type.get(instance["InstanceType"], 0) if vcpus is None else vcpus)
    return used


def _own_vcpus(instance: Mapping[str, Any]) -> int | None:
    cpus = instance.get("CpuOptions", {})
    return int(cpus["CoreCount"] * cpus["ThreadsPerCore"]) if "CoreCount" in cpus and "ThreadsPerCore" in cpus else None
