"""What this computer has: processors, memory, NVIDIA GPUs."""

import os
import re
import subprocess
from collections.abc import Sequence

from ..gpu_models import Gpu, model_name, sold_size_gib

GIB = 1024**3

ASK_TIMEOUT_S = 5.0
"""How long `nvidia-smi` or `sysctl` may take, in seconds; a driver in trouble answers never."""


def cpu_count() -> int:
    """Return the number of processors the system shows."""
    return os.cpu_count() or 1


def memory_gib() -> float:
    """Return the main memory, GiB; 0.0 when the system does not tell."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        # macOS has no name for the number of pages.
        answer = _ask(["sysctl", "-n", "hw.memsize"])
        size = int(answer[0]) if answer and answer[0].isdigit() else 0
    return round(size / GIB, 1)


def gpus() -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs the driver shows; none without a driver, or when it does not answer in time."""
    # A driver too old to be asked for the compute capability fails as a whole.
    for fields in ("name,memory.total,compute_cap", "name,memory.total"):
        lines = _ask(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"])
        if lines:
            found = (_gpu([part.strip() for part in line.split(",")]) for line in lines)
            return tuple(gpu for gpu in found if gpu is not None)
    return ()


def _gpu(parts: Sequence[str]) -> Gpu | None:
    # What is not available is written "[N/A]": memory shared with the processor, for one.
    if len(parts) < 2 or not parts[1].isdigit():
        return None
    capability = parts[2] if len(parts) > 2 and re.fullmatch(r"\d+\.\d+", parts[2]) else ""
    return Gpu(model_name(parts[0]), sold_size_gib(int(parts[1]) / 1024), capability)


def _ask(argv: Sequence[str]) -> list[str]:
    try:
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []
