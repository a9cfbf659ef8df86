"""Pydantic's errors as ours: plain words, the line, the field, what to type. The one place that knows its error types."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..model.errors import ConfigError
from .groups import group_in
from .wording import did_you_mean, found, quoted
from .yaml_file import Loc, dotted

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the values came from: a file's path and the lines in it, and which of them a flag gave."""

    shown: str
    lines: Mapping[Loc, int]
    flags: Mapping[Loc, str]


def explain(error: ValidationError, model: type[BaseModel], source: Source) -> ConfigError:
    """Return the first complaint, flags before the file's lines, and say how many more there are."""
    complaints = sorted((_complaint(details, model, source) for details in error.errors()), key=_order)
    first = complaints[0]
    if more := len(complaints) - 1:
        first.hint += f" ({more} more {'problem' if more == 1 else 'problems'} after this one.)"
    return first


def _order(error: ConfigError) -> tuple[bool, float]:
    return bool(error.file), error.line if error.line is not None else float("inf")


def _complaint(details: ErrorDetails, model: type[BaseModel], source: Source) -> ConfigError:
    context: dict[str, Any] = details.get("ctx", {})
    loc: Loc = _place(details) + tuple(context.get("at", ()))
    flag = _longest_prefix(loc, source.flags)
    message = _WORDS.get(details["type"], _anything_else)(details, loc)
    hint = context.get("hint") or _hint(details, loc, model) or _example(loc, model, flag)
    if flag is not None:
        return ConfigError(message, hint, field=flag)
    return ConfigError(message, hint, file=source.shown, line=_longest_prefix(loc, source.lines), field=dotted(loc))


def _place(details: ErrorDetails) -> Loc:
    """Return where it is. Pydantic marks a name that is wrong itself, where names are free, by one more part."""
    loc = details["loc"]
    return loc[:-1] if loc[-1:] == ("[key]",) and details["type"] != "extra_forbidden" else loc


def _longest_prefix(loc: Loc, known: Mapping[Loc, T]) -> T | None:
    return next((known[loc[:length]] for length in range(len(loc), 0, -1) if loc[:length] in known), None)


def _anything_else(details: ErrorDetails, _loc: Loc) -> str:
    return f"{found(details['input'])} cannot be used here"


def _choices(details: ErrorDetails) -> list[str]:
    """Return the words an enumeration allows; pydantic says them as `'a', 'b' or 'c'`."""
    expected: str = details["ctx"]["expected"]
    return expected.replace("'", "").replace(" or ", ", ").split(", ")


# Pydantic's type of error, and how we say it.
_WORDS: dict[str, Callable[[ErrorDetails, Loc], str]] = {
    "refused": lambda details, _: str(details["ctx"]["message"]),
    "extra_forbidden": lambda _, loc: f"there is no setting named {quoted(str(loc[-1]))}",
    "missing": lambda _details, _loc: "this setting is needed, and is not there",
    "enum": lambda details, _: f"expected one of {', '.join(_choices(details))}, found {found(details['input'])}",
    "tuple_type": lambda details, _: f"expected a list, found {found(details['input'])}",
    "dict_type": lambda details, _: f"expected a group of settings, found {found(details['input'])}",
    "model_type": lambda details, _: f"expected a group of settings, found {found(details['input'])}",
    "greater_than_equal": lambda details, _: f"expected {details['ctx']['ge']} or more, found {found(details['input'])}",
    "less_than_equal": lambda details, _: f"expected {details['ctx']['le']} or less, found {found(details['input'])}",
}


def _hint(details: ErrorDetails, loc: Loc, model: type[BaseModel]) -> str:
    if details["type"] == "extra_forbidden":
        return _known_settings(loc, model)
    if details["type"] == "enum" and isinstance(details["input"], str):
        return did_you_mean(details["input"], _choices(details)).strip()
    return ""


def _known_settings(loc: Loc, model: type[BaseModel]) -> str:
    """Name the setting that was meant: a near one here, the same one in another group, or all there are here."""
    key = str(loc[-1])
    here = _fields_at(loc[:-1], model)
    if near := did_you_mean(key, here):
        return near.strip()
    groups = {name: _fields_at((name,), model) for name in model.model_fields}
    for name, fields in groups.items():
        if key in fields:
            return f"`{key}` belongs into the group `{name}`."
    if key in model.model_fields:
        return f"`{key}` belongs to the left, not into the group `{loc[0]}`."
    return f"Known here: {', '.join(here)}."


def _fields_at(loc: Loc, model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """Return the settings of the group at a place, none when it is no group."""
    section = model
    for part in loc:
        if isinstance(part, int):
            continue  # All items of a list are alike.
        inner = group_in(section.model_fields[part].annotation) if part in section.model_fields else None
        if inner is None:
            return {}
        section = inner
    return section.model_fields


def _example(loc: Loc, model: type[BaseModel], flag: str | None) -> str:
    """Show how the setting at a place, or the one around it, is written well."""
    for length in range(len(loc), 0, -1):
        name = str(loc[length - 1])
        field = _fields_at(loc[: length - 1], model).get(name)
        if field is None:
            continue
        example = str((field.examples or [""])[0])
        if flag is None:
            return f"For example `{name}: {example}`."
        value = "NAME=VALUE" if example.startswith("{") else example.strip("[]").split(",")[0]
        return f"For example `{flag.split()[0]} {value}`."
    return "Every setting is described in docs/config.md."
