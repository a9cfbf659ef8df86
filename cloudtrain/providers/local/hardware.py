"""What this computer has: processors, memory, NVIDIA GPUs."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

GIB = 1024**3

ASK_TIMEOUT_S = 5.0
"""How long `nvidia-smi` or `sysctl` may take, in seconds; a driver in trouble answers never."""

SOLD_SIZES_GIB = (4, 6, 8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 64, 80, 94, 96, 128, 141, 180, 192, 288)
"""GPU memory as it is sold and as price tables write it, GiB."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. `model` as the price table writes it ("A10G"); `compute_capability` is "" when the driver does not say."""

    model: str
    memory_gib: float
    compute_capability: str = ""


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


def most_alike(found: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Return the largest group of equal GPUs: a job that asks for two wants two of a kind."""
    return max((tuple(gpu for gpu in found if gpu == one) for one in found), key=len, default=())


def _gpu(parts: Sequence[str]) -> Gpu | None:
    # What is not available is written "[N/A]": memory shared with the processor, for one.
    if len(parts) < 2 or not parts[1].isdigit():
        return None
    capability = parts[2] if len(parts) > 2 and re.fullmatch(r"\d+\.\d+", parts[2]) else ""
    return Gpu(model_name(parts[0]), sold_size_gib(int(parts[1]) / 1024), capability)


def model_name(driver_name: str) -> str:
    """Return "V100" for "Tesla V100-SXM2-16GB", as the price table and a config write it."""
    words = re.split(r"[\s-]+", driver_name.partition("Blackwell")[0])
    noise = re.compile(r"(?:NVIDIA|Tesla|GeForce|Quadro|Graphics|Device|MIG|SXM\d?|PCIe|PCIE|HBM\w*|\d+GB)", re.IGNORECASE)
    return "".join(word for word in words if not noise.fullmatch(word))


def sold_size_gib(shown_gib: float) -> float:
    """Return the size a GPU is sold by, GiB: drivers keep up to a tenth for themselves and show the rest."""
    for size in SOLD_SIZES_GIB:
        if size * 0.9 <= shown_gib <= size:
            return float(size)
    return round(shown_gib, 1)


def _ask(argv: Sequence[str]) -> list[str]:
    try:
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []
