"""What lets a person's own `ssh`, rsync and editor reach a machine by its name: a file of the client's configuration for each.

All of it stands in a folder of ours. A person's own `config` gets one line, `Include`, and only when they ask for it.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..model.errors import ConfigError, HostKeyError
from ..model.instance import SshEndpoint
from .ssh_options import OPTION, host_alias, known_hosts

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WORD = re.compile(r"[^\s\"'#*?!,]+")


class SshConfig:
    """The files of all machines in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def include(self) -> str:
        """The line that a person's own configuration begins with."""
        return f'Include "{self._folder}/*.conf"'

    def file(self, name: str) -> Path:
        """Return where the file of a machine of that name stands, or would."""
        return self._folder / f"{name}.conf"

    def names(self) -> Sequence[str]:
        """Return the names that `ssh` knows now."""
        return sorted(path.stem for path in self._folder.glob("*.conf"))

    def show(self, name: str) -> str:
        """Return what is written for a machine; "" when there is nothing."""
        try:
            return self.file(name).read_text()
        except OSError:
            return ""

    def write(self, name: str, endpoint: SshEndpoint) -> bool:
        """Let `ssh NAME` reach the machine; say whether that can be written down.

        Raises:
            OSError: the folder cannot be written to.
        """
        try:
            trusted = known_hosts(endpoint)
        except HostKeyError:
            trusted = ""
        keys = self._folder / f"{name}.known_hosts"
        block = _block(name, endpoint, keys) if trusted and _NAME.fullmatch(name) else ""
        if not block:
            self.remove(name)
            return False
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _put(keys, trusted.encode(), 0o600)
        _put(self.file(name), block.encode(), 0o600)
        return True

    def remove(self, name: str) -> None:
        """Let `ssh` know the name no more; nothing there is no error.

        Raises:
            OSError: the folder cannot be written to.
        """
        if _NAME.fullmatch(name):
            self.file(name).unlink(missing_ok=True)
            (self._folder / f"{name}.known_hosts").unlink(missing_ok=True)

    def is_included(self, config: Path) -> bool:
        """Say whether a person's own configuration has the line."""
        try:
            lines = config.read_bytes().splitlines()
        except OSError:
            return False
        return any(line.strip() == self.include.encode() for line in lines)

    def install(self, config: Path) -> bool:
        """Put the line at the head of a person's own configuration, which else stays as it is; False when it was there.

        Raises:
            ConfigError: it cannot be read or written.
        """
        if self.is_included(config):
            return False
        try:
            config.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target = config.resolve()  # many keep it elsewhere, and a link here
            content, mode = (target.read_bytes(), target.stat().st_mode & 0o777) if target.exists() else (b"", 0o600)
            _put(target, self.include.encode() + b"\n" + content, mode)
        except OSError as error:
            raise ConfigError(
                f"{config} cannot be changed: {error.strerror}", f"Write this as its first line: {self.include}"
            ) from error
        return True


def _block(name: str, endpoint: SshEndpoint, keys: Path) -> str:
    """Return the machine's lines; "" where something in them would not mean what it says."""
    options = {
        "HostName": endpoint.host.replace("%", "%%"),
        "Port": str(endpoint.port),
        "HostKeyAlias": host_alias(endpoint),
        "UserKnownHostsFile": _quoted(keys),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "CheckHostIP": "no",
    }
    if endpoint.user is not None:
        options["User"] = endpoint.user
    if endpoint.identity_file is not None:
        options |= {"IdentityFile": _quoted(endpoint.identity_file), "IdentitiesOnly": "yes"}
    if endpoint.proxy_command is not None:
        options["ProxyCommand"] = endpoint.proxy_command
    fixed = {option.lower() for option in options}
    options |= {option: value for option, value in endpoint.options.items() if option.lower() not in fixed}
    words = [endpoint.host, endpoint.user or "-"]
    is_plain = all(map(_WORD.fullmatch, words)) and all(map(OPTION.fullmatch, options)) and "/" not in name
    if not is_plain or any(set(value) & {"\n", "\r", "\0"} for value in options.values()):
        return ""
    lines = "".join(f"    {option} {value}\n" for option, value in options.items())
    return f"# Written by cloudtrain, and removed when the machine ends.\nHost {name}\n{lines}"


def _quoted(path: Path) -> str:
    text = str(path).replace("%", "%%")
    return f'"{text}"' if '"' not in text else "\n"  # which no value may have


def _put(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all."""
    file, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(file, "wb") as out:
            out.write(content)
            out.flush()
            os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
        Path(part).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong matters more than what is left of it
            Path(part).unlink()
        raise
