"""A pip requirements file, read as far as one must to know what it names and when it has changed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Iterator

from . import local_content
from .errors import GuestError

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FILE_OPTION = re.compile(r"(-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(\S.*)")
_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s*=\s*|\s+)")
_INDEX_OPTION = re.compile(r"(-f|--find-links|-i|--index-url|--extra-index-url|--no-index)(?:\s*=\s*|\s+|(?<=^-[fi])|$)(.*)")
_ARCHIVE = re.compile(r"\.(?:whl|zip|tgz|tbz|txz|tar(?:\.(?:gz|bz2|xz|lz|lzma))?)$", re.IGNORECASE)
_LOCAL = re.compile(r"\.{1,2}$|~|file:", re.IGNORECASE)
_TAIL = re.compile(r"\s*;.*$|\s+--?[A-Za-z].*$")  # a marker, or options of this one requirement
_EXTRAS = re.compile(r"\[[^\]]*\]$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_WHEEL = re.compile(r"(?:^|[/\\])([^/\\]+?)-[^/\\]*\.whl(?:[?#]|$)")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")


@dataclass
class Requirements:
    """What a requirements file and those it includes say.

    Attributes:
        lines: every line that means something, the names of included files left out: the files' content stands there.
        names: normalised names of the packages asked for (`tensorflow-cpu`).
        local_paths: absolute paths of the folders and files that packages are taken from.
        find_links: absolute paths where packages are looked for too, some perhaps absent.
        names_index: whether they say where packages come from.
    """

    lines: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    local_paths: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    names_index: bool = False


def read(work: str, name: str) -> Requirements:
    """Read a requirements file by its name in the job's folder, and every file it includes.

    Raises:
        GuestError: one of them cannot be read.
    """
    found = Requirements()
    _Reader(os.path.abspath(work), found).collect(os.path.join(work, name), True)
    return found


def normalise(name: str) -> str:
    """Return the one spelling that all spellings of a package's name share."""
    return re.sub(r"[-_.]+", "-", name).lower()


class _Reader:
    """Reads files for one job's folder, each once."""

    def __init__(self, work: str, found: Requirements) -> None:
        self._work = work
        self._found = found
        self._seen: set[str] = set()

    def collect(self, path: str, installs: bool) -> None:
        path = os.path.abspath(path)
        if path in self._seen:
            return
        self._seen.add(path)
        for line in _logical_lines(path):
            include = _FILE_OPTION.fullmatch(line)
            if include is None or "://" in include.group(2):
                self._found.lines.append(line)
                self._note(line, os.path.dirname(path), installs and include is None)
                continue
            option, target = include.groups()
            is_constraint = option in ("-c", "--constraint")
            self._found.lines.append("constraints:" if is_constraint else "requirements:")
            self.collect(os.path.join(os.path.dirname(path), target.strip("'\"")), installs and not is_constraint)

    def _note(self, line: str, folder: str, installs: bool) -> None:
        option = _INDEX_OPTION.fullmatch(line)
        if option is not None:
            self._note_index(option.group(1), option.group(2), folder)
            return
        editable = _EDITABLE.match(line)
        target = line[editable.end() :] if editable else line
        if target.startswith("-"):
            return
        location = _location(target)
        if _is_local(location) or (editable and "://" not in location):
            path = local_content.path_of(location, self._work)
            self._found.local_paths += [path] if path else []
        name = _package_name(target, location)
        if installs and name:
            self._found.names.add(name)

    def _note_index(self, option: str, value: str, folder: str) -> None:
        self._found.names_index = True
        if option in ("-f", "--find-links"):
            # Installers disagree on where a relative one counts from: what lies at either place may be used.
            for start in dict.fromkeys((folder, self._work)):
                path = local_content.path_of(_expanded(value.strip("'\"")), start)
                self._found.find_links += [path] if path else []


def _logical_lines(path: str) -> Iterator[str]:
    """Yield lines without comments and blank ones, those continued by a backslash joined."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise GuestError(f"the requirements file {path} cannot be read: {error}") from error
    for line in _joined(text.splitlines()):
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        if line:
            yield line


def _joined(lines: list[str]) -> Iterator[str]:
    """Yield lines with those that a backslash continues joined, as pip joins them: a comment continues nothing."""
    begun = ""
    for line in lines:
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            begun += line.rstrip("\\")
            continue
        yield begun + (" " + line if is_comment else line)
        begun = ""
    yield begun


def _location(target: str) -> str:
    """Return where a requirement comes from, or its name, without extras, markers and options."""
    location = target.partition("@")[2] if _is_direct(target) else target
    location = _TAIL.sub("", location.strip()).strip("'\"")
    return _expanded(_EXTRAS.sub("", location.strip()))


def _expanded(text: str) -> str:
    return _VARIABLE.sub(lambda match: os.environ.get(match.group(1)) or match.group(0), text)


def _is_local(location: str) -> bool:
    if _LOCAL.match(location):
        return True
    return "://" not in location and ("/" in location or _ARCHIVE.search(location) is not None)


def _is_direct(target: str) -> bool:
    """Say whether a line is of the form `name @ address`."""
    return re.match(r"[A-Za-z0-9._-]+\s*(\[[^\]]*\])?\s*@\s*\S", target) is not None


def _package_name(target: str, location: str) -> str:
    """Return the normalised name of the package a line asks for, "" where only building it would tell."""
    if not _is_direct(target) and ("://" in location or _is_local(location)):
        match = _EGG.search(target) or _WHEEL.search(location)
        return normalise(match.group(1)) if match else ""
    match = _NAME.match(target)
    return normalise(match.group(0)) if match else ""
