"""What people told pip about where packages come from, said again in uv's words.

pip's own files are read rather than pip asked: the Python that runs us may have no pip.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from typing import Mapping
from urllib.parse import unquote, urlsplit

from . import local_content

# pip's setting; uv's variable; older names of the latter; what stands between several entries ("" where there is but one).
_TRANSLATED = (
    ("find-links", "UV_FIND_LINKS", (), ","),
    ("index-url", "UV_DEFAULT_INDEX", ("UV_INDEX_URL",), ""),
    ("extra-index-url", "UV_INDEX", ("UV_EXTRA_INDEX_URL",), " "),
    ("trusted-host", "UV_INSECURE_HOST", (), " "),
    ("cert", "SSL_CERT_FILE", (), ""),
)
_SOURCES = ("find-links", "index-url", "extra-index-url", "no-index")
_UV_SOURCES = ("UV_FIND_LINKS", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX")
_UV_LIMITS = ("UV_CONSTRAINT", "UV_OVERRIDE")
_TRUE = ("1", "y", "yes", "t", "true", "on")


class PipSettings:
    """pip's settings for installing, from its files and the environment, the later ones winning as they do for pip."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._settings: dict[str, str] = {}
        files = _files(environ)
        for section in ("global", "install"):
            for path in files:
                self._settings.update(_read(path, section))
        for name, value in environ.items():
            if name.startswith("PIP_") and value:
                self._settings[name[4:].lower().replace("_", "-")] = value

    @property
    def name_sources(self) -> bool:
        """Say whether the person told pip or uv where packages come from."""
        return any(self._settings.get(key) for key in _SOURCES) or any(self._environ.get(key) for key in _UV_SOURCES)

    @property
    def forbid_index(self) -> bool:
        """Say whether pip may use no index at all."""
        return self._settings.get("no-index", "").lower() in _TRUE

    def sources(self, work: str) -> dict[str, list[list[str]]]:
        """Return every setting of where packages come from and which may, each entry with a digest of what lies there.

        Relative paths count from `work`. Names and passwords in addresses are left out: with new ones it is the same place.
        """
        told = {name: self._entries(name) for name in (*_SOURCES, "constraint")}
        told.update((name, re.split(r"[\s,]+", self._environ.get(name, "").strip())) for name in (*_UV_SOURCES, *_UV_LIMITS))
        return {name: [_identity(entry, work) for entry in entries if entry] for name, entries in told.items() if any(entries)}

    def for_uv(self) -> dict[str, str]:
        """Return the variables that tell uv the same; what the person told uv itself is left alone."""
        told: dict[str, str] = {}
        for setting, variable, older, separator in _TRANSLATED:
            if any(self._environ.get(name) for name in (variable, *older)):
                continue
            entries = [entry for entry in self._entries(setting) if setting == "trusted-host" or _may_exist(entry)]
            if entries:
                told[variable] = separator.join(entries) if separator else entries[0]
        if any(name in told for name in ("UV_INDEX", "UV_DEFAULT_INDEX")):
            # pip takes the best version of all indexes together; uv alone would stop at the first that knows the name.
            told.setdefault("UV_INDEX_STRATEGY", self._environ.get("UV_INDEX_STRATEGY") or "unsafe-best-match")
        return told

    def _entries(self, setting: str) -> list[str]:
        return [os.path.expanduser(entry) for entry in self._settings.get(setting, "").split()]


def _files(environ: Mapping[str, str]) -> list[str]:
    """Return where pip keeps its settings, the strongest last."""
    own = environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return []
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        machine, user = ["/Library/Application Support/pip/pip.conf"], os.path.join(home, "Library/Application Support/pip")
        user = user if os.path.isdir(user) else os.path.join(home, ".config/pip")
    else:
        folders = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        machine = [os.path.join(folder, "pip/pip.conf") for folder in folders.split(os.pathsep)] + ["/etc/pip.conf"]
        user = os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "pip")
    return [
        *machine,
        os.path.join(home, ".pip/pip.conf"),
        os.path.join(user, "pip.conf"),
        os.path.join(sys.prefix, "pip.conf"),
        *([own] if own else []),
    ]


def _read(path: str, section: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}  # pip itself will say so when it is used
    if not parser.has_section(section):
        return {}
    return {name.lower().replace("_", "-"): value for name, value in parser.items(section)}


def _identity(entry: str, work: str) -> list[str]:
    path = local_content.path_of(entry, work)
    if path is None:
        return [re.sub(r"://[^/]*@", "://", entry), ""]
    return [path if os.path.isabs(entry) else entry, local_content.digest(path)]


def _may_exist(entry: str) -> bool:
    """Say whether an entry is an address, or a path where there is something: uv fails on one where there is not."""
    address = urlsplit(entry)
    path = unquote(address.path) if address.scheme == "file" else entry
    return (address.scheme not in ("", "file")) or os.path.exists(path)
