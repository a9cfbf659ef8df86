"""The NVIDIA GPUs as their driver's own tool shows them; what it does not know is None, never 0."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import subprocess
from typing import Any, Sequence

_BURIAL_S = 1.0

_FACTS = ("name", "memory.total", "driver_version", "compute_cap")
_MEASURES = {  # our name for it, and the tool's
    "index": "index",
    "name": "name",
    "util_percent": "utilization.gpu",
    "memory_used_mib": "memory.used",
    "memory_total_mib": "memory.total",
    "power_w": "power.draw",
    "temperature_c": "temperature.gpu",
}


class GpuToolError(Exception):
    """nvidia-smi is there and did not answer."""


def has_driver(root: str = "/") -> bool:
    """Say whether an NVIDIA driver is loaded, at the cost of a look at two files."""
    paths = ("proc/driver/nvidia/version", "dev/nvidiactl")
    # Under Windows' Linux the driver is Windows' own and shows as a device of another name.
    on_windows = os.path.exists(os.path.join(root, "dev/dxg")) and shutil.which("nvidia-smi") is not None
    return on_windows or any(os.path.exists(os.path.join(root, path)) for path in paths)


def inventory(timeout_s: float = 30.0) -> list[dict[str, Any]]:
    """Return each GPU's name, memory in MiB, driver and compute capability; nothing without a driver that answers."""
    try:
        # Drivers before 2021 do not know the last field and refuse the whole question.
        rows = _query(_FACTS, timeout_s) or _query(_FACTS[:-1], timeout_s)
    except GpuToolError:
        return []
    return [
        {
            "name": row[0],
            "memory_mib": _number(row[1]),
            "driver": _text(row[2]),
            "compute_capability": _text(row[3]) if len(row) > 3 else None,
        }
        for row in rows
    ]


def measure(timeout_s: float) -> list[dict[str, Any]]:
    """Return one sample of each GPU; nothing without a driver.

    Raises:
        GpuToolError: the tool did not answer in time.
    """
    rows = _query(tuple(_MEASURES.values()), timeout_s)
    return [{key: row[at] if key == "name" else _number(row[at]) for at, key in enumerate(_MEASURES)} for row in rows]


def unknown(gpu: dict[str, Any]) -> dict[str, Any]:
    """Return a sample of a GPU that is there and could not be measured."""
    return {key: gpu[key] if key in ("index", "name", "memory_total_mib") else None for key in _MEASURES}


def _query(fields: Sequence[str], timeout_s: float) -> list[list[str]]:
    argv = ["nvidia-smi", "--query-gpu=" + ",".join(fields), "--format=csv,noheader,nounits"]
    try:
        tool = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return []
    try:
        output = tool.communicate(timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        tool.kill()
        if tool.stdout is not None:
            tool.stdout.close()
        # Not waited for to the end: a tool stuck inside the driver does not even die when killed.
        with contextlib.suppress(subprocess.TimeoutExpired):
            tool.wait(_BURIAL_S)
        raise GpuToolError(f"nvidia-smi did not answer within {timeout_s:g} s") from None
    if tool.returncode != 0:
        return []
    rows = csv.reader(output.decode("utf-8", "replace").splitlines(), skipinitialspace=True)
    return [[cell.strip() for cell in row] for row in rows if len(row) == len(fields)]


def _number(cell: str) -> float | int | None:
    """Return a number, or None for all that the tool writes where it has none (`[N/A]`, `[Not Supported]`)."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return int(value) if value.is_integer() else value


def _text(cell: str) -> str | None:
    return None if cell.startswith("[") or cell == "N/A" else cell
