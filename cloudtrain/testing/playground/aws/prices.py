"""What things cost in the pretend cloud: GetProducts and the spot price history from the dated table, Cost Explorer by hand."""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from ....model.offer import Offer
from ....model.spec import Market
from ....prices.table import rows
from .account import Account, Handler
from .hardware import types_offered, zones_offering
from .moto_app import REGIONS
from .wire import ApiCall, CloudError, strings

TABLE_REGION = "us-east-1"
PRICE_REGIONS = ("us-east-1", "eu-central-1", "ap-south-1")
ELSEWHERE = 1.1
"""A price in any region but the table's own, as a multiple: plainly made up."""

SPOT_SHARE = 0.35
ZONE_STEP = 0.02
PAGE = 100
LINUX = "Linux/UNIX"


def on_demand_price(instance_type: str, region: str) -> float | None:
    """Return dollars an hour, or None when the table has no price."""
    offer = _by_type().get(instance_type)
    if offer is None or offer.usd_per_hour is None:
        return None
    return round(offer.usd_per_hour * (1 if region == TABLE_REGION else ELSEWHERE), 6)


def spot_price(instance_type: str, region: str, zone: str) -> float | None:
    """Return dollars an hour on the spot market of a zone, or None when there is none."""
    price, zones = on_demand_price(instance_type, region), zones_offering(region, instance_type)
    return None if price is None or zone not in zones else round(price * (SPOT_SHARE + ZONE_STEP * zones.index(zone)), 6)


class Prices:
    """Answers for Pricing, Cost Explorer and EC2's spot price history."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return the calls this answers."""
        return {
            ("pricing", "GetProducts"): self._products,
            ("ce", "GetCostAndUsage"): self._cost,
            ("ec2", "DescribeSpotPriceHistory"): self._spot_history,
        }

    def _products(self, call: ApiCall) -> object:
        if call.region not in PRICE_REGIONS:
            text = f"Pricing is not in {call.region}, but in {', '.join(PRICE_REGIONS)}."
            raise CloudError("UnrecognizedClientException", text)
        if call.parameters.get("ServiceCode") != "AmazonEC2":
            raise CloudError("NotFoundException", "Service not found")
        filters = [item for item in call.parameters.get("Filters", []) if item.get("Type") == "TERM_MATCH"]
        wanted = {item["Field"]: item["Value"] for item in filters}
        matching = [product for product in _products() if _fits(product["product"]["attributes"], wanted)]
        start, size = int(call.parameters.get("NextToken") or 0), int(call.parameters.get("MaxResults") or PAGE)
        page = [json.dumps(product) for product in matching[start : start + size]]
        token = {"NextToken": str(start + size)} if len(matching) > start + size else {}
        return {"FormatVersion": "aws_v1", "PriceList": page, **token}

    def _cost(self, call: ApiCall) -> object:
        return self._account.cost_reply or {"ResultsByTime": [], "DimensionValueAttributes": []}

    def _spot_history(self, call: ApiCall) -> object:
        wanted = strings(call.parameters, "InstanceTypes")
        filters = {item["Name"]: item.get("Values", []) for item in call.parameters.get("Filters", [])}
        wanted += filters.get("instance-type", [])
        products = strings(call.parameters, "ProductDescriptions") + filters.get("product-description", [])
        zone = call.parameters.get("AvailabilityZone")
        zones = [zone] if zone else filters.get("availability-zone")
        found = [] if products and LINUX not in products else list(self._spot_prices(call.region, wanted, zones))
        start, size = int(call.parameters.get("NextToken") or 0), int(call.parameters.get("MaxResults") or 1000)
        token = str(start + size) if len(found) > start + size else ""
        return {"SpotPriceHistory": found[start : start + size], "NextToken": token}

    def _spot_prices(self, region: str, types: list[str], zones: list[str] | None) -> Iterator[dict[str, Any]]:
        ids = {zone.name: zone.zone_id for zone in self._account.moto.ec2(region).zones[region]}
        offered = set(types_offered(region))
        for name in [name for name in types or _by_type() if name in offered]:
            for zone in zones_offering(region, name):
                price = spot_price(name, region, zone)
                if price is not None and (zones is None or zone in zones):
                    yield {
                        "AvailabilityZone": zone,
                        "AvailabilityZoneId": ids[zone],
                        "InstanceType": name,
                        "ProductDescription": LINUX,
                        "SpotPrice": f"{price:.6f}",
                        "Timestamp": self._account.timeline.now().replace(tzinfo=None),
                    }


@cache
def _by_type() -> dict[str, Offer]:
    return {offer.instance_type: offer for offer in rows("aws") if offer.market is Market.ON_DEMAND}


@cache
def _products() -> tuple[dict[str, Any], ...]:
    """Return the price list: for each type its price, and the row without one that the real list has as well."""
    products = []
    for region in REGIONS:
        for name, offer in _by_type().items():
            price = on_demand_price(name, region)
            if price is not None:
                products.append(_product(offer, region, price, "Used"))
                products.append(_product(offer, region, 0.0, "AllocatedCapacityReservation"))
    return tuple(products)


def _product(offer: Offer, region: str, price: float, capacity: str) -> dict[str, Any]:
    sku = hashlib.sha256(f"{offer.instance_type} {region} {capacity}".encode()).hexdigest()[:16].upper()
    usage = "BoxUsage" if capacity == "Used" else "Reservation"
    attributes = {
        "servicecode": "AmazonEC2",
        "location": {"us-east-1": "US East (N. Virginia)", "us-west-2": "US West (Oregon)"}.get(region, region),
        "locationType": "AWS Region",
        "regionCode": region,
        "instanceType": offer.instance_type,
        "vcpu": str(offer.vcpus),
        "memory": f"{offer.memory_gib:g} GiB",
        "gpu": str(offer.gpu_count),
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "licenseModel": "No License required",
        "capacitystatus": capacity,
        "marketoption": "OnDemand",
        "operation": "RunInstances",
        "usagetype": f"{usage}:{offer.instance_type}",
    }
    term, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    dimension = {
        "rateCode": rate,
        "unit": "Hrs",
        "beginRange": "0",
        "endRange": "Inf",
        "appliesTo": [],
        "description": f"${price} per On Demand Linux {offer.instance_type} Instance Hour",
        "pricePerUnit": {"USD": f"{price:.10f}"},
    }
    on_demand = {"sku": sku, "offerTermCode": "JRTCKXETXF", "effectiveDate": "2026-11-01T00:00:00Z", "termAttributes": {}}
    return {
        "serviceCode": "AmazonEC2",
        "version": "20261101000000",
        "publicationDate": "2026-11-01T00:00:00Z",
        "product": {"sku": sku, "productFamily": "Compute Instance", "attributes": attributes},
        "terms": {"OnDemand": {term: on_demand | {"priceDimensions": {rate: dimension}}}},
    }


def _fits(attributes: dict[str, str], wanted: dict[str, str]) -> bool:
    return all(attributes.get(field, "").lower() == value.lower() for field, value in wanted.items())
