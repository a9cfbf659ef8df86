"""Our values as plain JSON data and back: for the ledger, `run.json` and `--json`. Field names are the attribute names."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Return a value of ours as JSON data. Classes with a `kind` say it, so that a union can be read back."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = getattr(type(value), "kind", None)
        head = {"kind": kind} if kind is not None else {}
        return head | {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        return [to_plain(item) for item in value]
    return value


def from_plain(wanted: type[T], data: Any) -> T:
    """Return JSON data as the wanted type. Unknown fields are ignored, so that older versions read newer files.

    Raises:
        ValueError, TypeError, KeyError: the data does not have the wanted shape.
    """
    return _read(wanted, data)  # type: ignore[no-any-return]  # the hints of `wanted` decide the type at run time


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _read(wanted: Any, data: Any) -> Any:
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(wanted), data)
    if origin is tuple:
        return tuple(_read(get_args(wanted)[0], item) for item in data)
    if origin is not None and issubclass(origin, Mapping):
        item_type = get_args(wanted)[1]
        return MappingProxyType({key: _read(item_type, item) for key, item in data.items()})
    if is_dataclass(wanted):
        return _read_dataclass(wanted, data)
    return _read_scalar(wanted, data)


def _read_dataclass(wanted: Any, data: Any) -> Any:
    hints = _hints(wanted)
    return wanted(**{f.name: _read(hints[f.name], data[f.name]) for f in fields(wanted) if f.name in data})


def _read_union(choices: tuple[Any, ...], data: Any) -> Any:
    if data is None and type(None) in choices:
        return None
    rest = [choice for choice in choices if choice is not type(None)]
    if len(rest) == 1:
        return _read(rest[0], data)
    for choice in rest:
        if data["kind"] == choice.kind:
            return _read(choice, data)
    raise ValueError(f"unknown kind {data['kind']!r}")


def _read_scalar(wanted: Any, data: Any) -> Any:
    if wanted in (datetime, date):
        return wanted.fromisoformat(data)
    if wanted is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if issubclass(wanted, (Enum, Path)):
        return wanted(data)
    if not isinstance(data, wanted):
        raise TypeError(f"expected {wanted.__name__}, found {type(data).__name__}")
    return data
