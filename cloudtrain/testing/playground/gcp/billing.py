"""The Cloud Billing Catalog: what a core, a GiB and a GPU cost, in the shape that services/6F81-5844-456A/skus really has.

The rates are list prices of mid-2026, rounded, with one factor for a region; they are for arithmetic, not for budgets.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from .account import Account, Body, Handler
from .errors import GoogleError, not_found
from .hardware import REGIONS
from .wire import GoogleCall

COMPUTE = "6F81-5844-456A"
FACTORS = {"us-central1": 1.0, "us-east1": 1.0, "us-west1": 1.0, "us-west4": 1.13, "europe-west4": 1.1, "asia-southeast1": 1.23}
PLACES = {
    "us-central1": "Iowa",
    "us-east1": "South Carolina",
    "us-west1": "Oregon",
    "us-west4": "Las Vegas",
    "europe-west4": "Netherlands",
    "asia-southeast1": "Singapore",
}
SPOT_FACTOR = 0.4
EFFECTIVE = "2026-08-03T00:00:00Z"
LONGEST_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Rate:
    """What something costs in dollars an hour (disks: a month) in us-central1.

    Attributes:
        spot: its description for Spot, "" where there is none.
        kind: the resource group. market: the usage type.
    """

    text: str
    spot: str
    kind: str
    usd: float
    family: str = "Compute"
    market: str = "OnDemand"
    unit: str = "h"


def _pair(name: str, core: float, ram: float) -> tuple[Rate, Rate]:
    return (
        Rate(f"{name} Core running in {{}}", f"Spot Preemptible {name} Core running in {{}}", "CPU", core),
        Rate(f"{name} Ram running in {{}}", f"Spot Preemptible {name} Ram running in {{}}", "RAM", ram, unit="GiBy.h"),
    )


def _gpu(name: str, usd: float) -> Rate:
    return Rate(f"{name} GPU running in {{}}", f"{name} GPU attached to Spot Preemptible VMs running in {{}}", "GPU", usd)


RATES = (
    *_pair("N1 Predefined Instance", 0.031611, 0.004237),
    *_pair("E2 Instance", 0.02181159, 0.00292353),
    *_pair("N2 Instance", 0.031611, 0.004237),
    *_pair("G2 Instance", 0.02498823, 0.00292706),
    *_pair("A2 Instance", 0.031611, 0.004237),
    *_pair("A3 Instance", 0.02931, 0.00255),
    *_pair("A3Plus Instance", 0.02931, 0.00255),
    *_pair("A3Ultra Instance", 0.02931, 0.00255),
    *_pair("G4 Instance", 0.0361, 0.0032),
    _gpu("Nvidia Tesla T4", 0.35),
    _gpu("Nvidia Tesla V100", 2.48),
    _gpu("Nvidia Tesla P100", 1.46),
    _gpu("Nvidia Tesla P4", 0.6),
    _gpu("Nvidia L4", 0.56004006),
    _gpu("Nvidia Tesla A100", 2.933908),
    _gpu("Nvidia Tesla A100 80GB", 3.927317),
    _gpu("Nvidia H100 80GB", 9.796501),
    _gpu("Nvidia H100 80GB Plus", 9.796501),
    _gpu("Nvidia H200 141GB", 9.98),
    Rate(
        "A4 Nvidia B200 (1 gpu slice) running in {}", "Spot Preemptible A4 Nvidia B200 (1 gpu slice) running in {}", "GPU", 16.0
    ),
    _gpu("RTX 6000 96GB", 2.1),
    # What is beside them in the real catalog, and means another thing.
    Rate("N1 Sole Tenancy Instance Core running in {}", "", "CPU", 0.0379),
    Rate("N2 Custom Instance Core running in {}", "", "CPU", 0.033174),
    Rate("Reserved G2 Instance Core in {}", "", "CPU", 0.02498823),
    Rate("Commitment v1: G2 Cpu in {} for 1 Year", "", "CPU", 0.01574, market="Commit1Yr"),
    Rate("Nvidia L4 GPU running in {} suspended", "", "GPU", 0.0),
    Rate("External IP Charge on a Standard VM", "External IP Charge on a Spot Preemptible VM", "ExternalIp", 0.005, "Network"),
    Rate("Storage PD Capacity in {}", "", "PDStandard", 0.04, "Storage", unit="GiBy.mo"),
    Rate("Balanced PD Capacity in {}", "", "SSD", 0.1, "Storage", unit="GiBy.mo"),
    Rate("SSD backed PD Capacity in {}", "", "SSD", 0.17, "Storage", unit="GiBy.mo"),
    Rate("Hyperdisk Balanced Capacity in {}", "", "SSD", 0.08, "Storage", unit="GiBy.mo"),
)
UNITS = {
    "h": ("hour", "s", "second", 3600.0),
    "GiBy.h": ("gibibyte hour", "By.s", "byte second", 3865470566400.0),
    "GiBy.mo": ("gibibyte month", "By.s", "byte second", 2828222197760000.0),
}


class Billing:
    """Answers what is about prices and whether the project pays at all."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {
            "cloudbilling.services.skus.list": self._skus,
            "cloudbilling.services.list": self._services,
            "cloudbilling.projects.getBillingInfo": self._billing_info,
        }

    def _skus(self, call: GoogleCall) -> Body:
        if call.path["parent"] != f"services/{COMPUTE}":
            raise not_found(call.path["parent"])
        if call.query.get("currencyCode", "USD") != "USD":
            raise GoogleError(400, "badRequest", "The playground knows prices in USD only.")
        found, token = list(_shown()), str(call.query.get("pageToken", "") or "0")
        start = int(token) if token.isdigit() else 0
        end = start + min(int(call.query.get("pageSize", LONGEST_PAGE)) or LONGEST_PAGE, LONGEST_PAGE)
        # Google's lists end with an empty token, not with none.
        return {"skus": found[start:end], "nextPageToken": str(end) if end < len(found) else ""}

    def _services(self, call: GoogleCall) -> Body:
        name = f"services/{COMPUTE}"
        service = {
            "name": name,
            "serviceId": COMPUTE,
            "displayName": "Compute Engine",
            "businessEntityName": "businessEntities/GCP",
        }
        return {"services": [service], "nextPageToken": ""}

    def _billing_info(self, call: GoogleCall) -> Body:
        on = self._account.has_billing
        return {
            "name": f"projects/{self._account.project}/billingInfo",
            "projectId": self._account.project,
            "billingAccountName": "billingAccounts/00AAAA-11BBBB-22CCCC" if on else "",
            "billingEnabled": on,
        }


def _shown() -> Iterator[Body]:
    for region in REGIONS:
        for rate in RATES:
            usd = rate.usd * FACTORS[region]
            yield _sku(rate, rate.text.format(PLACES[region]), region, usd, rate.market)
            if rate.spot:
                yield _sku(rate, rate.spot.format(PLACES[region]), region, usd * SPOT_FACTOR, "Preemptible")


def _sku(rate: Rate, text: str, region: str, usd: float, market: str) -> Body:
    digits = base64.b32encode(hashlib.sha1(f"{text}{region}".encode(), usedforsecurity=False).digest()).decode()
    sku_id = f"{digits[:4]}-{digits[4:8]}-{digits[8:12]}"
    nanos = round(usd * 1e9)
    description, base, base_description, factor = UNITS[rate.unit]
    price = {"currencyCode": "USD", "units": str(nanos // 10**9), "nanos": nanos % 10**9}
    expression = {
        "usageUnit": rate.unit,
        "displayQuantity": 1,
        "tieredRates": [{"startUsageAmount": 0, "unitPrice": price}],
        "usageUnitDescription": description,
        "baseUnit": base,
        "baseUnitDescription": base_description,
        "baseUnitConversionFactor": factor,
    }
    return {
        "name": f"services/{COMPUTE}/skus/{sku_id}",
        "skuId": sku_id,
        "description": text,
        "category": {
            "serviceDisplayName": "Compute Engine",
            "resourceFamily": rate.family,
            "resourceGroup": rate.kind,
            "usageType": market,
        },
        "serviceRegions": [region],
        "pricingInfo": [
            {"summary": "", "pricingExpression": expression, "currencyConversionRate": 1, "effectiveTime": EFFECTIVE}
        ],
        "serviceProviderName": "Google",
        "geoTaxonomy": {"type": "REGIONAL", "regions": [region]},
    }
