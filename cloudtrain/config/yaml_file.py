"""YAML as far as a config needs it: text, true/false, nothing, lists and groups, each with the line it stands on.

Read from the parser's events, not from its objects: no anchors, no tags, no merge keys, no numbers that are really times
(`1:30`), no country that is really false (`no`). Whatever is not true, false or empty is text; the schema knows the rest.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..model.errors import ConfigError
from .wording import found, printable, quoted, shortened, shown_path

Loc = tuple[str | int, ...]
"""Where a value stands: ("resources", "gpus"), ("inputs", 0)."""

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_SETTINGS = 10_000
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
"""What no terminal, path or command should ever get."""

_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER = re.compile(r"[-+]?(\.?[0-9][0-9_]*(\.[0-9]*)?([eE][-+]?[0-9]+)?|\.inf|\.nan|0x[0-9a-fA-F]+|0o[0-7]+)", re.IGNORECASE)
_QUOTE_IT = "Put the value in quotes when it is meant as text."
# What the parser says, in part, and how we say it: message, hint.
_PROBLEMS = (
    (r"'\t'", "a tab is used where only spaces may stand", "Indent with spaces."),
    ("mapping values are not allowed", "a second colon stands where none can", _QUOTE_IT),
    ("could not find expected ':'", "a key has no colon after it", "Write `key: value`, one per line."),
    ("expected <block end>", "the indentation does not match the lines above", "Indent settings of one group alike."),
    (
        "expected the node content",
        "a value is missing, or a bracket is never closed",
        "Write lists as `[a, b]`, groups as `{a: 1}`.",
    ),
    ("unexpected end of stream", "a quote or bracket is never closed", "Close it on the same line."),
    (
        "expected ',' or",
        "a bracket is never closed, or a comma is missing",
        "Write lists as `[a, b]` and groups as `{a: 1, b: 2}`.",
    ),
    ("cannot start any token", "a value begins with a character that YAML keeps for itself", _QUOTE_IT),
    ("expected alphabetic or numeric", "a value begins with `*`, `&` or `!`, which YAML keeps for itself", _QUOTE_IT),
    (
        "unknown escape character",
        "a backslash in double quotes begins nothing known",
        "Use single quotes: they keep backslashes.",
    ),
)
# What the parser notices only lines after it began.
_BEGUN_EARLIER = ("could not find expected ':'", "unexpected end of stream", "expected ',' or")


@dataclass(frozen=True, slots=True)
class YamlFile:
    """What a file says. `shown` is its path as the person knows it; `lines` has the 1-based line of each setting."""

    shown: str
    data: dict[str, Any]
    lines: Mapping[Loc, int]


def read_yaml(path: Path) -> YamlFile:
    """Read a config file.

    Raises:
        ConfigError: it cannot be read, or is not plain YAML with a group of settings at the top.
    """
    shown = shown_path(path)
    text = _decode(_read_bytes(path, shown), shown)
    return _Reader(shown, text).read()


def dotted(loc: Loc) -> str:
    """Return a place as a person writes it: `resources.gpus`, `inputs[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" for part in loc)
    return printable(text.removeprefix("."))


def _read_bytes(path: Path, shown: str) -> bytes:
    try:
        # Without O_NONBLOCK a named pipe would keep us here until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as exc:
        if path.is_symlink():
            raise ConfigError("this link points to nothing", "Point it to a file, or remove it.", file=shown) from exc
        raise ConfigError("there is no such file", "Check the path.", file=shown) from exc
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise ConfigError(f"the file cannot be read: {reason}", "Check its permissions.", file=shown) from exc
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise ConfigError(f"expected a file, found {kind}", "Put a YAML file there, or move this away.", file=shown)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError("the file is larger than 1 MiB", "A config is a page of text; is this the right file?", file=shown)
    return content


def _decode(content: bytes, shown: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"byte {exc.start} is not UTF-8 text", "Save the file as UTF-8.", file=shown, line=line) from exc
    if bad := UNPRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise ConfigError(f"the control character {found(bad[0])} is not text", "Remove it.", file=shown, line=line)
    return text


class _Reader:
    """One walk over a file's events."""

    def __init__(self, shown: str, text: str) -> None:
        self._shown = shown
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self._lines: dict[Loc, int] = {}
        self._last_line = 1

    def read(self) -> YamlFile:
        """Return what the only document says. An empty file says nothing, which is no error yet."""
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            return YamlFile(self._shown, {}, {})
        top = self._next()
        data = self._value(top, ())
        self._next()
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._refuse(after, (), "a second document begins here", "Keep one document per file: remove the `---`.")
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise self._refuse(top, (), f"expected settings, found {found(data)}", "Write `key: value`, one per line.")
        return YamlFile(self._shown, data, self._lines)

    def _next(self) -> yaml.Event:
        try:
            event = next(self._events)
        except yaml.MarkedYAMLError as exc:
            raise self._syntax_error(exc) from exc
        except (yaml.YAMLError, ValueError, OverflowError) as exc:  # e.g. an escape for a character there is not
            raise ConfigError("this is not valid YAML", _QUOTE_IT, file=self._shown, line=self._last_line) from exc
        self._last_line = _line(event)
        return event

    def _value(self, event: yaml.Event, loc: Loc) -> Any:
        self._refuse_machinery(event, loc)
        if len(self._lines) > MAX_SETTINGS:
            raise self._refuse(event, (), f"the file has more than {MAX_SETTINGS:,} settings", "Is this the right file?")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if len(loc) >= MAX_DEPTH:
            raise self._refuse(event, loc, f"more than {MAX_DEPTH} groups stand in each other", "A config needs three.")
        return self._list(loc) if isinstance(event, yaml.SequenceStartEvent) else self._group(loc)

    def _list(self, loc: Loc) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            here = (*loc, len(items))
            self._lines[here] = _line(event)
            items.append(self._value(event, here))
        return items

    def _group(self, loc: Loc) -> dict[str, Any]:
        group: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, loc)
            here = (*loc, key)
            if key in group:
                message = f"{quoted(key)} is written twice, on lines {self._lines[here]} and {_line(event)}"
                raise self._refuse(event, here, message, "Keep one of the two.")
            self._lines[here] = _line(event)
            group[key] = self._value(self._next(), here)
        return group

    def _key(self, event: yaml.Event, loc: Loc) -> str:
        self._refuse_machinery(event, loc)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._refuse(event, loc, "a key must be text, not a list or a group", "Write `key: value`.")
        key = _scalar(event)
        plain = event.implicit[0]
        if plain and key == "<<":
            raise self._refuse(event, loc, "merge keys (`<<`) are not read here", "Write the settings out.")
        if not isinstance(key, str) or (plain and _NUMBER.fullmatch(key)):
            raise self._refuse(
                event, loc, f"a key must be text, found {printable(event.value) or 'nothing'}", "Name the setting."
            )
        return key

    def _refuse_machinery(self, event: yaml.Event, loc: Loc) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self._refuse(event, loc, "aliases (`*name`) are not read here", f"Write it out. {_QUOTE_IT}")
        if not isinstance(event, yaml.NodeEvent):
            return
        if event.anchor is not None:
            raise self._refuse(event, loc, "anchors (`&name`) are not read here", f"Remove it. {_QUOTE_IT}")
        if getattr(event, "tag", None) is not None:
            raise self._refuse(event, loc, "tags (`!name`) are not read here", f"Remove it. {_QUOTE_IT}")

    def _refuse(self, event: yaml.Event, loc: Loc, message: str, hint: str) -> ConfigError:
        return ConfigError(message, hint, file=self._shown, line=_line(event), field=dotted(loc))

    def _syntax_error(self, exc: yaml.MarkedYAMLError) -> ConfigError:
        problem = exc.problem or ""
        begun_earlier = any(part in problem for part in _BEGUN_EARLIER)
        mark = exc.context_mark if begun_earlier and exc.context_mark else exc.problem_mark
        line = mark.line + 1 if mark else self._last_line
        for part, message, hint in _PROBLEMS:
            if part in problem:
                return ConfigError(message, hint, file=self._shown, line=line)
        return ConfigError(f"this is not valid YAML ({printable(problem)})", _QUOTE_IT, file=self._shown, line=line)


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 1


def _scalar(event: yaml.ScalarEvent) -> str | bool | None:
    """Return quoted text as it is; of unquoted text only nothing, true and false are more than text."""
    if not event.implicit[0]:
        return event.value
    if event.value in _NOTHING:
        return None
    return _TRUTHS.get(event.value, event.value)
