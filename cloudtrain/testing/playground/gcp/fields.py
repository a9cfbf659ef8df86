"""The `fields` parameter: only a part of a reply, `items(name,zone),nextPageToken` or `items/name`."""

import re
from typing import Any

from .errors import GoogleError

Mask = dict[str, "Mask"]
"""What is wanted, by name; nothing below means all of it. `*` stands for every name."""


def picked(body: Any, text: str) -> Any:
    """Return the part of a reply that a mask asks for.

    Raises:
        GoogleError: it is no mask.
    """
    tokens = re.findall(r"[(),/]|[^(),/\s]+", text)
    mask = _read(tokens, text)
    if tokens:
        raise _wrong(text)
    return _cut(body, mask)


def _read(tokens: list[str], text: str) -> Mask:
    mask: Mask = {}
    while True:
        below = mask.setdefault(_name(tokens, text), {})
        while tokens[:1] == ["/"]:
            del tokens[0]
            below = below.setdefault(_name(tokens, text), {})
        if tokens[:1] == ["("]:
            del tokens[0]
            below.update(_read(tokens, text))
            if not tokens or tokens.pop(0) != ")":
                raise _wrong(text)
        if tokens[:1] != [","]:
            return mask
        del tokens[0]


def _name(tokens: list[str], text: str) -> str:
    if not tokens or tokens[0] in "(),/":
        raise _wrong(text)
    return tokens.pop(0)


def _cut(body: Any, mask: Mask) -> Any:
    if not mask:
        return body
    if isinstance(body, list):
        return [_cut(item, mask) for item in body]
    if not isinstance(body, dict):
        return body
    return {key: _cut(value, mask.get(key, mask.get("*", {}))) for key, value in body.items() if key in mask or "*" in mask}


def _wrong(text: str) -> GoogleError:
    return GoogleError(400, "invalidParameter", f"Invalid field selection {text}")
