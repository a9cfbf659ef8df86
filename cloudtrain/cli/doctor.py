"""What this computer needs, looked at."""

import importlib.util
import platform
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

from ..config.folders import cache_folder, state_folder
from ..model.errors import LedgerError
from ..model.finding import Finding
from ..prices.table import rows
from ..providers.registry import provider_names
from .names import open_ledger
from .price_sources import damaged_copy, price_sources
from .words import size

ENOUGH_DISK_BYTES = 5_000_000_000
"""What an environment with a framework needs, bytes."""


def check_computer() -> list[Finding]:
    """Return one finding for each thing on this computer that cloudtrain uses."""
    return [
        Finding(True, "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        _ssh(),
        _uv(),
        _disk(cache_folder()),
        _ledger(),
        _clock(datetime.now(UTC).date()),
        _prices(),
    ]


def in_short(provider: str, findings: tuple[Finding, ...]) -> Finding:
    """Return a provider's findings as one."""
    wanting = [finding for finding in findings if not finding.ok]
    if not wanting:
        return Finding(True, provider, "ready")
    return Finding(False, provider, ", ".join(finding.subject for finding in wanting), f"cloudtrain check {provider}")


def _ssh() -> Finding:
    found = shutil.which("ssh")
    if found is not None:
        return Finding(True, "ssh", found)
    if importlib.util.find_spec("paramiko") is not None:
        return Finding(True, "ssh", "no OpenSSH; paramiko connects in its place, and ~/.ssh/config is not read")
    return Finding(
        False,
        "ssh",
        "neither OpenSSH nor paramiko; only this computer can be trained on",
        "Debian, Ubuntu: apt install openssh-client; anywhere: pip install 'cloudtrain[ssh]'",
    )


def _uv() -> Finding:
    found = shutil.which("uv")
    return Finding(True, "uv", found or "not found; environments are made with pip, which takes longer")


def _disk(folder: Path) -> Finding:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < ENOUGH_DISK_BYTES:
        return Finding(
            False, "disk", f"{size(free)} free for {folder}", f"Make room, about {size(ENOUGH_DISK_BYTES)}: df -h {existing}"
        )
    return Finding(True, "disk", f"{size(free)} free for {folder}")


def _ledger() -> Finding:
    try:
        with open_ledger() as ledger:
            count = len(ledger.machines())
    except LedgerError as error:
        return Finding(False, "ledger", error.message, error.hint)
    return Finding(True, "ledger", f"{state_folder()}: {count} machine{'s' if count != 1 else ''} known")


def _clock(today: date) -> Finding:
    """A clock that stands before our own prices were read is wrong: clouds refuse what it signs."""
    dates = [offer.priced_on for name in provider_names() for offer in rows(name) if offer.priced_on is not None]
    if dates and today < max(dates):
        return Finding(
            False,
            "clock",
            f"{today} is before this version's prices were read ({max(dates)})",
            "Set it: timedatectl set-ntp true",
        )
    return Finding(True, "clock", f"{today} UTC")


def _prices() -> Finding:
    damaged = damaged_copy()
    if damaged is not None:
        return damaged
    sources = price_sources()
    return Finding(True, "prices", f"of {min(s.oldest for s in sources)} to {max(s.newest for s in sources)}")
