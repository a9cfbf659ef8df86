"""The Retail Prices API, below `/api/retail/prices`: prices of the sizes, with the traps that the real one has."""

import re
import uuid
from collections.abc import Iterator
from urllib.parse import urlencode

from .account import LOCATIONS, Handler
from .errors import ArmError
from .sizes import SIZES, Size
from .things import Body
from .wire import ArmCall

SINCE = "2026-06-01T00:00:00Z"
MOST_ON_A_PAGE = 1000
NAMES = {"priceType": "type"}
"""What filters call otherwise than items do."""

_EQUAL = re.compile(r"(\w+) (eq|ne) '([^']*)'")
_CONTAINS = re.compile(r"contains\((\w+), ?'([^']*)'\)(?: eq (true|false))?")
_PRICED = re.compile(r"(retailPrice|unitPrice) (gt|ge|eq|ne) ([\d.]+)")


class Prices:
    """Answers for prices; nobody needs a token.

    Attributes:
        page_size: so many are on a page, at most 1000.
    """

    def __init__(self) -> None:
        self.page_size = MOST_ON_A_PAGE

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        return {("Retail", "prices/LIST"): self._list}

    def _list(self, call: ArmCall) -> Body:
        wanted = call.query.get("$filter", "")
        found = [item for item in _items() if _passes(item, wanted)]
        skip = int(call.query.get("$skip", "0"))
        shown = found[skip : skip + self.page_size]
        more = skip + len(shown) < len(found)
        following = {**call.query, "$skip": str(skip + len(shown))}
        return {
            "BillingCurrency": "USD",
            "CustomerEntityId": "Default",
            "CustomerEntityType": "Retail",
            "Items": shown,
            "NextPageLink": f"{call.host}{call.path}?{urlencode(following)}" if more else None,
            "Count": len(shown),
        }


def _items() -> Iterator[Body]:
    for location in LOCATIONS:
        for size in SIZES.values():
            yield from _of_size(location, size)


def _of_size(location: str, size: Size) -> Iterator[Body]:
    product = f"Virtual Machines {size.family.removesuffix('Family').strip()} Series"
    meter = size.name.removeprefix("Standard_").replace("_", " ")
    yield _item(location, size, (product, meter), size.price)
    yield _item(location, size, (f"{product} Windows", meter), size.price * 1.4)
    if size.spot_price:
        yield _item(location, size, (product, f"{meter} Spot"), size.spot_price)
        yield _item(location, size, (product, f"{meter} Low Priority"), size.price / 5)
    if size.gpus:
        # A row without a price is in the real answers, too: unknown, and not for nothing.
        yield _item(location, size, (f"{product} Dedicated Host", meter), 0.0)
        yield {
            **_item(location, size, (product, meter), size.price * 8760 * 0.6),
            "type": "Reservation",
            "reservationTerm": "1 Year",
        }


def _item(location: str, size: Size, names: tuple[str, str], price: float) -> Body:
    product, meter = names
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": round(price, 6),
        "unitPrice": round(price, 6),
        "armRegionName": location,
        "location": LOCATIONS[location],
        "effectiveStartDate": SINCE,
        "meterId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{location} {product} {meter}")),
        "meterName": meter,
        "productId": "DZH318Z0" + uuid.uuid5(uuid.NAMESPACE_URL, product).hex[:4].upper(),
        "skuId": f"DZH318Z0/{uuid.uuid5(uuid.NAMESPACE_URL, meter).hex[:4].upper()}",
        "productName": product,
        "skuName": meter,
        "serviceName": "Virtual Machines",
        "serviceId": "DZH313Z7MMC8",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": size.name,
    }


def _passes(item: Body, wanted: str) -> bool:
    """Say whether an item is as an OData filter wants it: comparisons tied by `and`, and by `or` within brackets."""
    for part in _split(wanted.strip(), " and "):
        if part.startswith("(") and part.endswith(")"):
            if not any(_passes(item, one) for one in _split(part[1:-1], " or ")):
                return False
        elif not _is(item, part):
            return False
    return True


def _split(text: str, word: str) -> list[str]:
    parts, depth, begin = [], 0, 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and text.startswith(word, place):
            parts.append(text[begin:place])
            begin = place + len(word)
    return [part.strip() for part in [*parts, text[begin:]] if part.strip()]


def _is(item: Body, test: str) -> bool:
    if found := _EQUAL.fullmatch(test):
        return (str(item.get(NAMES.get(found[1], found[1]), "")) == found[3]) is (found[2] == "eq")
    if found := _CONTAINS.fullmatch(test):
        return (found[2] in str(item.get(found[1], ""))) is (found[3] != "false")
    if found := _PRICED.fullmatch(test):
        price, limit = float(item[found[1]]), float(found[3])
        return {"gt": price > limit, "ge": price >= limit, "eq": price == limit, "ne": price != limit}[found[2]]
    raise ArmError("InvalidFilter", f"Invalid OData parameters supplied: the playground cannot read '{test}'.")
