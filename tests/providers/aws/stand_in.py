"""Stands where moto has nothing or something made up: the price list, the spot market and EC2's limits.

It answers inside the SDK, after a request was built and signed and before it is sent.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from botocore.awsrequest import AWSResponse

from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.base import ProviderSettings

from .conftest import Cloud

GPU_FAMILY = "GPU instance"
ASKED_FOR = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
NO_SUCH_QUOTA = {"__type": "NoSuchResourceException", "message": "no"}


class Raw:
    """A body as the SDK reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content


@dataclass
class StandIn:
    """What things cost, and how much of them there may be.

    Attributes:
        prices: USD an hour by region and type.
        gpus: the types that the price list calls GPU instances.
        spot: USD an hour by type and zone.
        quotas, default_quotas: vCPUs by code.
        page: how many products the price list shows at once.
    """

    prices: dict[tuple[str, str], float] = field(default_factory=dict)
    gpus: set[str] = field(default_factory=set)
    spot: dict[tuple[str, str], float] = field(default_factory=dict)
    quotas: dict[str, float] = field(default_factory=dict)
    default_quotas: dict[str, float] = field(default_factory=dict)
    page: int = 100

    def stand_before(self, account: Account) -> None:
        """Answer an account's clients."""
        # Last, so that a fault of the test's goes before.
        account.clients._session().events.register_last("before-send", self._answer)

    def _answer(self, event_name: str, request: Any, **_: Any) -> AWSResponse | None:
        answers = {
            "GetProducts": self._products,
            "DescribeSpotPriceHistory": self._history,
            "GetServiceQuota": self._quota,
            "GetAWSDefaultServiceQuota": self._default_quota,
        }
        answer = answers.get(event_name.rsplit(".", 1)[-1])
        return answer(request) if answer else None

    def _products(self, request: Any) -> AWSResponse:
        asked = json.loads(request.body)
        assert all(each["Type"] == "TERM_MATCH" for each in asked.get("Filters", []))
        wanted = {each["Field"]: each["Value"] for each in asked.get("Filters", [])}
        found = [product(name, usd) for (region, name), usd in self.prices.items() if self._is_wanted(region, name, wanted)]
        start = int(asked.get("NextToken", 0))
        more = {"NextToken": str(start + self.page)} if len(found) > start + self.page else {}
        return _json(request, {"PriceList": found[start : start + self.page], **more})

    def _is_wanted(self, region: str, name: str, wanted: dict[str, str]) -> bool:
        if not ASKED_FOR.items() <= wanted.items() or wanted.get("regionCode") != region:
            return False
        return wanted.get("instanceType") == name or (wanted.get("instanceFamily") == GPU_FAMILY and name in self.gpus)

    def _history(self, request: Any) -> AWSResponse:
        asked = {name: values[0] for name, values in parse_qs(str(request.body)).items()}
        assert asked["ProductDescription.1"] == "Linux/UNIX"
        assert "StartTime" in asked
        wanted = {value for name, value in asked.items() if name.startswith("Filter.1.Value.")}
        items = "".join(
            f"<item><instanceType>{name}</instanceType><availabilityZone>{zone}</availabilityZone><spotPrice>{usd}</spotPrice>"
            f"<productDescription>Linux/UNIX</productDescription><timestamp>{datetime.now(UTC).isoformat()}</timestamp></item>"
            for (name, zone), usd in self.spot.items()
            if name in wanted
        )
        body = f"<R><spotPriceHistorySet>{items}</spotPriceHistorySet></R>"
        return AWSResponse(request.url, 200, {"Content-Type": "text/xml"}, Raw(body.encode()))

    def _quota(self, request: Any) -> AWSResponse:
        return _quota_of(self.quotas, request)

    def _default_quota(self, request: Any) -> AWSResponse:
        return _quota_of(self.default_quotas, request)


def product(name: str, usd: float, **attributes: str) -> str:
    """Return a product of the price list, with a reserved price beside the one that counts."""
    offer = {"priceDimensions": {"d": {"unit": "Hrs", "pricePerUnit": {"USD": f"{usd:.10f}"}}}}
    fee = {"priceDimensions": {"d": {"unit": "Quantity", "pricePerUnit": {"USD": "9999"}}}}
    terms = {"OnDemand": {"t": offer, "upfront": fee}, "Reserved": {"r": {"priceDimensions": {}}}}
    return json.dumps({"product": {"attributes": {"instanceType": name, **attributes}}, "terms": terms})


def _quota_of(values: dict[str, float], request: Any) -> AWSResponse:
    asked = json.loads(request.body)
    assert asked["ServiceCode"] == "ec2"
    if asked["QuotaCode"] not in values:
        return _json(request, NO_SUCH_QUOTA, 400)
    return _json(request, {"Quota": {"Value": values[asked["QuotaCode"]]}})


def _json(request: Any, answer: Any, status: int = 200) -> AWSResponse:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return AWSResponse(request.url, status, headers, Raw(json.dumps(answer).encode()))


def account_on(cloud: Cloud, stand_in: StandIn, settings: ProviderSettings) -> Account:
    """Return an account whose clients ask the cloud and the stand-in before it."""
    account = Account.of(settings)
    cloud.watch(account)
    stand_in.stand_before(account)
    return account
