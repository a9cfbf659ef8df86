"""Whether a value is what a discovery document says it is: requests are refused in Google's words, replies held to the same."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from .discovery import Method
from .errors import GoogleError

TYPE_NAMES = {
    "string": "TYPE_STRING",
    "boolean": "TYPE_BOOL",
    "integer": "TYPE_INT32",
    "number": "TYPE_DOUBLE",
    "array": "repeated",
    "object": "message",
}
BOOLEANS = {"true": True, "false": False}
ALSO_SENT: dict[str, dict[str, dict[str, Any]]] = {
    "compute": {"returnPartialSuccess": {"type": "boolean", "location": "query"}},
    "storage": {"upload_id": {"type": "string", "location": "query"}},
}
"""What no document has: gcloud 528 sends the first with every list; the second is in the link that an upload is given."""

LONG_NUMBERS = ("int64", "uint64")
RANGES = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1), "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}


def check_body(method: Method, body: object) -> None:
    """Refuse a body that its method does not take.

    Raises:
        GoogleError: naming the first field that is wrong.
    """
    for wrong in _Look(method, is_reply=False).at(body, method.request or {}, "resource"):
        raise wrong


def check_reply(method: Method, body: object) -> list[str]:
    """Return what is wrong with a reply of ours."""
    return [wrong.message for wrong in _Look(method, is_reply=True).at(body, method.response or {}, "reply")]


class _Look:
    """One look at a value, from its top down."""

    def __init__(self, method: Method, *, is_reply: bool) -> None:
        self._method, self._is_reply = method, is_reply

    def at(self, value: object, schema: dict[str, Any], where: str) -> Iterator[GoogleError]:
        """Yield all that is wrong."""
        if "$ref" in schema:
            schema = self._method.schemas[schema["$ref"]]
        kind = schema.get("type", "any")
        if kind == "any" or (value is None and not self._is_reply):
            return
        if kind == "object":
            yield from self._at_object(value, schema, where)
        elif kind == "array":
            yield from self._at_list(value, schema, where)
        else:
            yield from self._at_plain(value, schema, where)

    def _at_object(self, value: object, schema: dict[str, Any], where: str) -> Iterator[GoogleError]:
        if not isinstance(value, dict):
            yield _mistyped(value, schema, where)
            return
        fields, rest = schema.get("properties", {}), schema.get("additionalProperties")
        for key, item in value.items():
            if key in fields:
                yield from self.at(item, fields[key], f"{where}.{key}")
            elif rest is not None:
                yield from self.at(item, rest, f"{where}.{key}")
            elif fields:
                text = f"Invalid JSON payload received. Unknown name \"{key}\" at '{where}': Cannot find field."
                yield GoogleError(400, "badRequest", text)
        if not self._is_reply:
            yield from self._missing(value, fields, where)

    def _missing(self, value: dict[str, Any], fields: dict[str, Any], where: str) -> Iterator[GoogleError]:
        for key, field in fields.items():
            is_needed = self._method.id in field.get("annotations", {}).get("required", ())
            if is_needed and value.get(key) in (None, ""):
                yield GoogleError(400, "required", f"Required field '{where}.{key}' not specified")

    def _at_list(self, value: object, schema: dict[str, Any], where: str) -> Iterator[GoogleError]:
        if not isinstance(value, list):
            yield _mistyped(value, schema, where)
            return
        for number, item in enumerate(value):
            yield from self.at(item, schema.get("items", {}), f"{where}[{number}]")

    def _at_plain(self, value: object, schema: dict[str, Any], where: str) -> Iterator[GoogleError]:
        if not _is_typed(value, schema, is_reply=self._is_reply):
            yield _mistyped(value, schema, where)
        elif "enum" in schema and value not in schema["enum"]:
            yield GoogleError(400, "invalid", f"Invalid value at '{where}' (TYPE_ENUM), {json.dumps(value)}")
        elif "pattern" in schema and not self._is_reply and not re.fullmatch(schema["pattern"], str(value)):
            text = f"Invalid value for field '{where}': '{value}'. Must be a match of regex '{schema['pattern']}'"
            yield GoogleError(400, "invalid", text)


def check_query(method: Method, query: dict[str, list[str]], path: dict[str, str]) -> dict[str, Any]:
    """Return the query with its values typed.

    Raises:
        GoogleError: a parameter is unknown, missing or not what it should be, in the path or the query.
    """
    typed: dict[str, Any] = {}
    known = method.shared | method.parameters | ALSO_SENT.get(method.service, {})
    for key, values in query.items():
        schema = known.get(key)
        if schema is None or schema.get("location") == "path":
            text = (
                f"Invalid JSON payload received. Unknown name \"{key}\": Cannot bind query parameter. Field '{key}' could not "
            )
            raise GoogleError(400, "badRequest", f"{text}be found in request message.")
        read = [_from_text(key, value, schema) for value in values]
        typed[key] = read if schema.get("repeated") else read[-1]
    for key, schema in method.parameters.items():
        if key in path and "{+" not in method.spec["path"]:
            _check_pattern(key, path[key], schema)
        elif schema.get("required") and key not in path and key not in typed:
            raise GoogleError(400, "required", f"Required parameter: {key}")
    return typed


def _check_pattern(key: str, value: str, schema: dict[str, Any]) -> None:
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        text = f"Invalid value for field '{key}': '{value}'. Must be a match of regex '{schema['pattern']}'"
        raise GoogleError(400, "invalid", text)


def _from_text(key: str, text: str, schema: dict[str, Any]) -> Any:
    kind = schema.get("type", "string")
    try:
        value: Any = BOOLEANS[text.lower()] if kind == "boolean" else int(text) if kind == "integer" else text
    except (KeyError, ValueError):
        raise GoogleError(400, "invalidParameter", f"Invalid value '{text}' for query parameter '{key}'.") from None
    low, high = float(schema.get("minimum", "-inf")), float(schema.get("maximum", "inf"))
    if kind == "integer" and not low <= value <= high:
        raise GoogleError(
            400, "invalidParameter", f"Invalid value '{value}'. Values must be within the range: [{low:g}, {high:g}]"
        )
    if "enum" in schema and value not in schema["enum"]:
        raise GoogleError(400, "invalidParameter", f"Invalid value '{text}' for query parameter '{key}'.")
    return value


def _mistyped(value: object, schema: dict[str, Any], where: str) -> GoogleError:
    name = TYPE_NAMES.get(schema.get("type", ""), "message")
    if schema.get("format") in RANGES:
        name = f"TYPE_{schema['format'].upper()}"
    if schema.get("format") == "byte":
        name = "TYPE_BYTES"
    return GoogleError(400, "badRequest", f"Invalid value at '{where}' ({name}), {json.dumps(value, default=str)}")


def _is_typed(value: object, schema: dict[str, Any], *, is_reply: bool) -> bool:
    kind, form = schema["type"], schema.get("format", "")
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer" or form in LONG_NUMBERS:
        return _is_number(value, kind, form or "int32", is_reply=is_reply)
    return isinstance(value, str) and _is_formed(value, form)


def _is_number(value: object, kind: str, form: str, *, is_reply: bool) -> bool:
    """Say whether a whole number is in its range. JSON carries long ones as text; in a request either will do."""
    if is_reply and not isinstance(value, int if kind == "integer" else str):
        return False
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"-?\d+", str(value)):
        return False
    low, high = RANGES[form]
    return low <= int(value) <= high


def _is_formed(value: str, form: str) -> bool:
    try:
        if form == "byte":
            base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
        elif form in ("google-datetime", "date-time"):
            datetime.fromisoformat(value)
        elif form == "google-duration":
            return re.fullmatch(r"-?\d+(\.\d{1,9})?s", value) is not None
    except (ValueError, binascii.Error):
        return False
    return True
