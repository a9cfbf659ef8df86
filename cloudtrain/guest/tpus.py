"""The TPU chips of this machine, as its PCI bus shows them."""

from __future__ import annotations

import contextlib
import os

from . import system

_BUS = "/sys/bus/pci/devices"
_GOOGLE = "0x1ae0"
_CHIPS = {"0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f"}  # as JAX's hardware_utils knows them: v2 to v6e


def count() -> int:
    """Return how many there are. A look at a few files: nothing is loaded or started."""
    try:
        devices = os.listdir(system.path(_BUS))
    except OSError:
        return 0
    return sum(_read(device, "vendor") == _GOOGLE and _read(device, "device") in _CHIPS for device in devices)


def _read(device: str, name: str) -> str:
    with contextlib.suppress(OSError), open(os.path.join(system.path(_BUS), device, name), encoding="ascii") as file:
        return file.read().strip()
    return ""
