"""Bodies as Google writes them: long numbers as text, short ones as numbers, whichever way the caller wrote them."""

from typing import Any

from .discovery import Method

LONG_NUMBERS = ("int64", "uint64")


def canonical(method: Method, body: Any) -> Any:
    """Return a request's body, which has been checked, in Google's own writing. What was given as null stays null."""
    return _rewritten(method, body, method.request or {})


def _rewritten(method: Method, value: Any, schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = method.schemas[schema["$ref"]]
    kind = schema.get("type", "any")
    if isinstance(value, dict):
        fields, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
        return {key: _rewritten(method, item, fields.get(key, rest)) for key, item in value.items()}
    if isinstance(value, list):
        return [_rewritten(method, item, schema.get("items", {})) for item in value]
    if value is None:
        return None
    if kind == "integer":
        return int(value)
    return str(value) if schema.get("format") in LONG_NUMBERS else value
