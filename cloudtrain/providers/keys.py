"""The keys of each machine, made here before it exists: who may log in, and which host may answer."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ..model.errors import ProviderError, ProviderUnavailableError
from .folders import disk_errors_told
from .written import moment, read_moment

KEYGEN_TIMEOUT_S = 30.0
_USER, _HOST, _ISSUED = "user", "host", "issued"
_BEGUN = ".new-"
_TOKEN = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Keys:
    """One machine's keys.

    Attributes:
        identity_file: the private key that logs in; never leaves this computer.
        host_key: the machine's private key, an OpenSSH PEM text; goes to that machine and nowhere else.
        issued_at: when they were made. A repeated order says the same in its user data, or a cloud would not know it again.
    """

    identity_file: Path
    authorized_key: str
    host_public_key: str
    issued_at: datetime
    host_key: str = field(repr=False)


class KeyShelf:
    """A folder with one folder of keys for each order, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def made_for(self, token: str, now: datetime) -> Keys:
        """Return an order's keys; they are made the first time.

        Raises:
            ProviderError: the token cannot name a folder, or the keys cannot be made here.
        """
        if not _TOKEN.fullmatch(token):
            raise ProviderError(f"{token!r} is no token: at most 64 letters, digits and dashes")
        with disk_errors_told(self._folder):
            if not (self._folder / token).is_dir():
                self._make(token, now)
            return self._read(token)

    def keys_of(self, token: str) -> Keys | None:
        """Return an order's keys, or None when they are not on this computer."""
        if not _TOKEN.fullmatch(token):
            return None  # tags are other people's text: it names no folder of ours
        try:
            return self._read(token)
        except (OSError, ProviderUnavailableError):
            return None

    def line_to(self, token: str) -> tuple[Path, str] | None:
        """Return the private key that logs in and the host's public key; None when they are not on this computer."""
        if not _TOKEN.fullmatch(token):
            return None
        folder = self._folder / token
        try:
            return folder / _USER, (folder / f"{_HOST}.pub").read_text().strip()
        except OSError:
            return None

    def made_before(self, moment: datetime) -> set[str]:
        """Return the orders whose keys were made before a moment, those included whose making was broken off."""
        with disk_errors_told(self._folder):
            folders = list(self._folder.iterdir()) if self._folder.exists() else []
        return {_token_of(folder) for folder in folders if (_issued_at(folder) or moment) <= moment}

    def forget(self, token: str) -> None:
        """Remove an order's keys, and what was begun of them. Absent ones are a success.

        Raises:
            ProviderUnavailableError: they cannot be removed.
        """
        if _TOKEN.fullmatch(token):
            with disk_errors_told(self._folder):
                for folder in (self._folder / token, *self._folder.glob(f"{_BEGUN}{token}-*")):
                    if folder.exists():
                        shutil.rmtree(folder)

    def _make(self, token: str, now: datetime) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=self._folder, prefix=f"{_BEGUN}{token}-"))
        try:
            (fresh / _ISSUED).write_text(moment(now))
            for name, whose in ((_USER, "cloudtrain"), (_HOST, "")):
                _generate(fresh / name, whose)
            with _somebody_else_was_first(self._folder / token):
                fresh.rename(self._folder / token)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)  # gone already where all went well

    def _read(self, token: str) -> Keys:
        folder = self._folder / token
        issued_at = read_moment((folder / _ISSUED).read_text())
        if issued_at is None or stat.S_IMODE((folder / _USER).stat().st_mode) & 0o077:
            raise ProviderUnavailableError(f"The keys in {folder} were changed by somebody else", f"Look: ls -l {folder}")
        return Keys(
            identity_file=folder / _USER,
            authorized_key=(folder / f"{_USER}.pub").read_text().strip(),
            host_public_key=(folder / f"{_HOST}.pub").read_text().strip(),
            issued_at=issued_at,
            host_key=(folder / _HOST).read_text(),
        )


def _token_of(folder: Path) -> str:
    name = folder.name
    return name.removeprefix(_BEGUN).rpartition("-")[0] if name.startswith(_BEGUN) else name


def _issued_at(folder: Path) -> datetime | None:
    try:
        return read_moment((folder / _ISSUED).read_text())
    except OSError:
        return None


def _generate(path: Path, comment: str) -> None:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", os.fspath(path)]
    try:
        subprocess.run(argv, check=True, capture_output=True, timeout=KEYGEN_TIMEOUT_S, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise ProviderUnavailableError("ssh-keygen is not on this computer", "Install the OpenSSH client.") from error
    except subprocess.SubprocessError as error:
        raise ProviderUnavailableError(f"ssh-keygen did not make a key: {error}") from error


@contextmanager
def _somebody_else_was_first(target: Path) -> Iterator[None]:
    """Let a rename fail when another process has put the same order's keys there meanwhile: theirs count."""
    try:
        yield
    except OSError:
        if not target.is_dir():
            raise
