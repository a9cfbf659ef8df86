"""Lists as Compute Engine gives them: filtered, in order, a page at a time, or of every zone at once."""

import base64
from collections.abc import Iterable
from typing import TypeVar

from .account import Body
from .errors import GoogleError
from .filters import matches
from .wire import GoogleCall

LONGEST_PAGE = 500
T = TypeVar("T")


def listed(call: GoogleCall, kind: str, found: Iterable[Body], link: str) -> Body:
    """Return one page of what a filter leaves of a list."""
    page, following = _page(call, [one for one in found if matches(call.query.get("filter", ""), one)])
    reply: Body = {"kind": kind, "id": link.partition("/v1/")[2], "selfLink": link, "items": page}
    if not page:
        del reply["items"]
    return reply | ({"nextPageToken": following} if following else {})


def aggregated(
    call: GoogleCall, kind: str, key: str, found: Iterable[tuple[str, Body]], scopes: Iterable[str], link: str
) -> Body:
    """Return one page of a list over all scopes ("zones/Z"); a scope without any says so, as Google's do."""
    left = [(scope, one) for scope, one in found if matches(call.query.get("filter", ""), one)]
    page, following = _page(call, left)
    items: Body = {}
    for scope, one in page:
        items.setdefault(scope, {}).setdefault(key, []).append(one)
    for scope in scopes if "pageToken" not in call.query else ():
        if scope not in items:
            items[scope] = {"warning": _nothing_in(scope)}
    reply = {"kind": kind, "id": link.partition("/v1/")[2], "selfLink": link, "items": items}
    return reply | ({"nextPageToken": following} if following else {})


def _page(call: GoogleCall, found: list[T]) -> tuple[list[T], str]:
    size = min(int(call.query.get("maxResults", LONGEST_PAGE)) or LONGEST_PAGE, LONGEST_PAGE)
    start = _start(str(call.query.get("pageToken", "")))
    end = start + size
    following = base64.urlsafe_b64encode(f"from:{end}".encode()).decode() if end < len(found) else ""
    return found[start:end], following


def _start(token: str) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("from:"))
    except ValueError:
        raise GoogleError(400, "invalid", f"Invalid value for field 'pageToken': '{token}'.") from None


def _nothing_in(scope: str) -> Body:
    return {
        "code": "NO_RESULTS_ON_PAGE",
        "message": f"There are no results for scope '{scope}' on this page.",
        "data": [{"key": "scope", "value": scope}],
    }
