"""A pip requirements file, read as far as one must to know what it names and when it has changed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Iterator

from .errors import GuestError

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FILE_OPTION = re.compile(r"(-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(\S.*)")
_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s*=\s*|\s+)")
_INDEX_OPTIONS = ("-f", "--find-links", "-i", "--index-url", "--extra-index-url", "--no-index")
_LOCAL = re.compile(r"\.{0,2}/|\.{1,2}$|~|file:", re.IGNORECASE)
_WHEEL = re.compile(r"(?:^|[/\\])([^/\\]+?)-[^/\\]*\.whl(?:[?#]|$)")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")


@dataclass
class Requirements:
    """What a requirements file and those it includes say.

    Attributes:
        lines: every line that means something, the names of included files left out: the files' content stands there.
        names: normalised names of the packages asked for (`tensorflow-cpu`).
        has_local_paths: whether a package is taken from a folder or file of the job's own.
        names_index: whether they say where packages come from.
    """

    lines: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    has_local_paths: bool = False
    names_index: bool = False


def read(work: str, name: str) -> Requirements:
    """Read a requirements file by its name in the job's folder, and every file it includes.

    Raises:
        GuestError: one of them cannot be read.
    """
    found = Requirements()
    _collect(os.path.join(work, name), True, found, set())
    return found


def normalise(name: str) -> str:
    """Return the one spelling that all spellings of a package's name share."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _collect(path: str, installs: bool, found: Requirements, seen: set[str]) -> None:
    path = os.path.abspath(path)
    if path in seen:
        return
    seen.add(path)
    for line in _logical_lines(path):
        include = _FILE_OPTION.fullmatch(line)
        if include is None:
            found.lines.append(line)
            _note(line, installs, found)
            continue
        option, target = include.groups()
        if "://" in target:
            found.lines.append(line)
            continue
        is_constraint = option in ("-c", "--constraint")
        found.lines.append("constraints:" if is_constraint else "requirements:")
        _collect(os.path.join(os.path.dirname(path), target.strip("'\"")), installs and not is_constraint, found, seen)


def _logical_lines(path: str) -> Iterator[str]:
    """Yield lines without comments and blank ones, those continued by a backslash joined."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise GuestError(f"the requirements file {path} cannot be read: {error}") from error
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        if line:
            yield line


def _note(line: str, installs: bool, found: Requirements) -> None:
    if line.split("=")[0].split()[0] in _INDEX_OPTIONS:
        found.names_index = True
        return
    editable = _EDITABLE.match(line)
    target = line[editable.end() :] if editable else line
    if target.startswith("-"):
        return
    location = target.partition("@")[2].strip() if _is_direct(target) else target
    if editable or _LOCAL.match(location):
        found.has_local_paths = found.has_local_paths or "://" not in location or location.startswith("file:")
    name = _package_name(target)
    if installs and name:
        found.names.add(name)


def _is_direct(target: str) -> bool:
    """Say whether a line is of the form `name @ address`."""
    return re.match(r"[A-Za-z0-9._-]+\s*(\[[^\]]*\])?\s*@\s*\S", target) is not None


def _package_name(target: str) -> str:
    """Return the normalised name of the package a line asks for, "" where only building it would tell."""
    is_address = not _is_direct(target) and ("://" in target or _LOCAL.match(target) or target.endswith(".whl"))
    if is_address:
        match = _EGG.search(target) or _WHEEL.search(target)
        return normalise(match.group(1)) if match else ""
    match = _NAME.match(target)
    return normalise(match.group(0)) if match else ""
