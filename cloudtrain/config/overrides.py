"""What flags say, laid over what a file says."""

from collections.abc import Mapping
from typing import Any, get_origin

from pydantic import BaseModel

from .wording import printable, shortened
from .yaml_file import Loc


def lay_over(
    data: Mapping[str, Any], overrides: Mapping[str, object], model: type[BaseModel]
) -> tuple[dict[str, Any], dict[Loc, str]]:
    """Return the settings with the overrides in them, and the flag that each overridden place came from.

    Keys are dotted ("resources.gpus", "env.EPOCHS"); a value of None is a flag that was not given; one word for a list
    makes a list of one.
    """
    merged = dict(data)
    flags: dict[Loc, str] = {}
    for key, value in overrides.items():
        if value is None:
            continue
        loc = tuple(key.split("."))
        if isinstance(value, str) and _takes_a_list(loc, model):
            value = [value]
        if _put(merged, loc, value):
            flags[loc] = flag_name(key)
    return merged, flags


def flag_name(key: str) -> str:
    """Return the flag a person typed for a dotted key: `--max-lifetime`, `--gpus`, `--env EPOCHS`, `-- COMMAND`."""
    if key == "command":
        return "-- COMMAND"
    head, _, rest = key.partition(".")
    if head == "env" and rest:
        return f"--env {printable(shortened(rest))}"
    return "--" + printable(shortened(key.rpartition(".")[2].replace("_", "-")))


def _takes_a_list(loc: Loc, model: type[BaseModel]) -> bool:
    field = model.model_fields.get(str(loc[0]))
    return len(loc) == 1 and field is not None and get_origin(field.annotation) is tuple


def _put(group: dict[str, Any], loc: tuple[str, ...], value: object) -> bool:
    """Put a value at a place, groups on the way copied or made. Say no where the file has something else than a group."""
    for part in loc[:-1]:
        inner = group.get(part)
        if inner is not None and not isinstance(inner, dict):
            return False  # The file's own mistake, told with its line.
        group[part] = dict(inner or {})
        group = group[part]
    group[loc[-1]] = value
    return True
