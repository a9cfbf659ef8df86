"""What Microsoft's own SDK wheels say of its APIs: routes, verbs, versions, query parameters, models, read out of their source.

Read as text, not imported: importing them takes ten times as long. The result is kept in cloudtrain's cache folder.
"""

import ast
import contextlib
import functools
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from ....config.folders import cache_folder

FORM = 3
"""Raised when this module writes something else into the cache."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One package of the SDK: where in it its operations and models are. Files as glob patterns."""

    package: str
    folder: str
    operations: str = "operations/_operations.py"
    models: str = "models/_models.py"


WHEELS = (
    Wheel("azure-mgmt-compute", "azure/mgmt/compute"),
    Wheel("azure-mgmt-network", "azure/mgmt/network"),
    Wheel("azure-mgmt-resource", "azure/mgmt/resource/resources"),
    Wheel("azure-mgmt-computeschedule", "azure/mgmt/computeschedule"),
    Wheel(
        "azure-mgmt-authorization",
        "azure/mgmt/authorization/v2022_04_01",
        "operations/_role_*_operations.py",
        "models/_models_py3.py",
    ),
    Wheel(
        "azure-mgmt-devtestlabs",
        "azure/mgmt/devtestlabs",
        "operations/_global_schedules_operations.py",
        "models/_models_py3.py",
    ),
)

_BUILDER = re.compile(r"^def build_(\w+)_request\((.*?)^    return HttpRequest\(method=\"(\w+)\"", re.MULTILINE | re.DOTALL)
_URL = re.compile(r'"(/[^"]*)"')
_QUERY = re.compile(r'^( +)_params\["([^"]+)"\] =', re.MULTILINE)
_VERSION = re.compile(r'_params\.pop\("api-version", "([^"]+)"\)')
_CLASS = re.compile(r"^class (\w+)(?:\((.*?)\))?:(.*?)(?=^class |\Z)", re.MULTILINE | re.DOTALL)
_METHOD = re.compile(r"^    def (\w+)\((.*?)(?=^    def |\Z)", re.MULTILINE | re.DOTALL)
_CALLED = re.compile(r"\bbuild_(\w+)_request\(")
_BODY = re.compile(r"Union\[\s*_models\.(\w+)|_serialize\.body\(\s*\w+, \"([^\"]+)\"")
_PAGE = re.compile(r"_deserialize\(\s*[Ll]ist\[_models\.(\w+)\]")
_REPLY = re.compile(r'_deserialize\(\s*_models\.(\w+)|_deserialize\("(\w+)", pipeline_response|_deserialize\((list\[)_models')
_FIELD = re.compile(r"^    (\w+): ([^=]+?) = \(?\s*rest_(?:field|discriminator)\((.*?)\)\n", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r'name="([^"]+)"')
_MAP = re.compile(r"^    _attribute_map = (\{.*?^    \})", re.MULTILINE | re.DOTALL)
_RULES = re.compile(r"^    _validation = (\{.*?^    \})", re.MULTILINE | re.DOTALL)
_ERRORS = ("CloudError", "ErrorResponse", "ErrorDetail", "DefaultErrorResponse")


@functools.cache
def known_wheels() -> dict[str, Any]:
    """Return what `read_wheels` does, read once by each process: not to be changed."""
    return read_wheels()


def read_wheels() -> dict[str, Any]:
    """Return what the installed wheels describe: `operations`, and `models` by wheel; from the cache when it is there.

    Raises:
        ImportError: a wheel is not installed.
    """
    kept = cache_folder() / "playground" / f"azure-{FORM}-{'-'.join(_version(wheel) for wheel in WHEELS)}.json"
    with contextlib.suppress(OSError, ValueError):  # not there yet, or spoilt: it is made anew
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    made: dict[str, Any] = {"operations": [], "models": {}}
    for wheel in WHEELS:
        operations, models = _read(wheel)
        made["operations"] += operations
        made["models"][wheel.package] = models
    _keep(kept, made)
    return made


def _version(wheel: Wheel) -> str:
    try:
        return distribution(wheel.package).version
    except PackageNotFoundError as error:
        raise ImportError(f"{wheel.package} is not installed") from error


def _keep(path: Path, made: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written costs a second, nothing more
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(number, "w") as half:
            json.dump(made, half)
        Path(name).replace(path)


def _read(wheel: Wheel) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    folder = Path(str(distribution(wheel.package).locate_file(wheel.folder)))
    models = _models((folder / wheel.models).read_text())
    operations = [one for path in sorted(folder.glob(wheel.operations)) for one in _operations(path.read_text(), wheel.package)]
    return operations, models


def _operations(text: str, package: str) -> Iterator[dict[str, Any]]:
    bodies, replies = _bodies_and_replies(text)
    for name, source, verb in _BUILDER.findall(text):
        url = _URL.search(source)
        version = _VERSION.search(source)
        if url is None:
            continue
        query = {key: len(indent) > 4 for indent, key in _QUERY.findall(source)}
        yield {
            "package": package,
            "verb": verb,
            "url": url[1],
            "version": version[1] if version else "",
            "query": sorted(query),
            "required": sorted(key for key, is_optional in query.items() if not is_optional),
            "body": bodies.get(name, ""),
            "reply": replies.get(name, ""),
        }


def _bodies_and_replies(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the models of requests and of replies by operation; a page of a list is written "[Model]"."""
    bodies: dict[str, str] = {}
    replies: dict[str, str] = {}
    for _, _, source in _CLASS.findall(text):
        methods = _METHOD.findall(source)
        of_begin = {name.removeprefix("begin_"): _reply(rest) for name, rest in methods if name.startswith("begin_")}
        for name, rest in methods:
            for built in set(_CALLED.findall(rest)):
                body = _BODY.search(rest)
                if body and "_request(" in rest:
                    bodies.setdefault(built, body[1] or body[2])
                later = of_begin.get(name.removeprefix("_").removesuffix("_initial"), "") if name.endswith("_initial") else ""
                replies[built] = _reply(rest) or later or replies.get(built, "")
    return bodies, replies


def _reply(source: str) -> str:
    if page := _PAGE.search(source):
        is_plain = "response.json()" in source[page.start() : page.start() + 120] and "get_next" not in source
        return f"[{page[1]}]" + ("!" if is_plain else "")
    found = [first or second for first, second, _ in _REPLY.findall(source)]
    return next((name for name in found if name and name not in (*_ERRORS, "str", "int", "object")), "")


def _models(text: str) -> dict[str, Any]:
    """Return models by name: their members by the name on the wire, and whose members they have too."""
    made: dict[str, Any] = {}
    for name, bases, source in _CLASS.findall(text):
        older = _MAP.search(source)
        members = _older_members(older[1], _RULES.search(source)) if older else _members(source)
        made[name] = {
            "bases": [base.strip() for base in bases.split(",") if base.strip() not in ("_Model", "_serialization.Model")],
            "members": members,
        }
    return made


def _members(source: str) -> dict[str, Any]:
    members = {}
    for attribute, kind, field in _FIELD.findall(source):
        named = _NAMED.search(field)
        plain = kind.removeprefix("Optional[").removesuffix("]") if kind.startswith("Optional[") else kind
        members[named[1] if named else attribute] = {
            "type": _type(plain),
            "required": not kind.startswith("Optional["),
            "readonly": 'visibility=["read"]' in field,
        }
    return members


def _type(kind: str) -> str:
    """Return a type as the older wheels write it: "str", "[Model]", "{Model}"."""
    kind = " ".join(kind.split()).replace('"', "").replace("_models.", "")
    if kind.startswith("Union[str, "):
        return kind.removeprefix("Union[str, ").removesuffix("]")
    for word, marks in (("list[", "[]"), ("List[", "[]"), ("dict[str, ", "{}"), ("Dict[str, ", "{}")):
        if kind.startswith(word):
            return f"{marks[0]}{_type(kind.removeprefix(word).removesuffix(']'))}{marks[1]}"
    if kind.startswith(("Literal[", "Optional[")):
        return "str" if kind.startswith("Literal[") else _type(kind.removeprefix("Optional[").removesuffix("]"))
    return {"datetime.datetime": "iso-8601", "Any": "object", "datetime.timedelta": "str", "bytes": "str"}.get(kind, kind)


def _older_members(source: str, rules: re.Match[str] | None) -> dict[str, Any]:
    """Return the members of a model that writes "properties.scope": the older wheels flatten what is nested on the wire."""
    checks: dict[str, dict[str, Any]] = ast.literal_eval(rules[1]) if rules else {}
    tree: dict[str, Any] = {}
    for attribute, field in ast.literal_eval(source).items():
        *folders, last = re.split(r"(?<!\\)\.", field["key"])
        at = tree
        for folder in folders:
            at = at.setdefault(folder, {"type": "", "required": False, "readonly": False, "members": {}})["members"]
        check = checks.get(attribute, {})
        at[last.replace("\\", "")] = {
            "type": field["type"],
            "required": bool(check.get("required")),
            "readonly": bool(check.get("readonly")),
        }
    return tree
