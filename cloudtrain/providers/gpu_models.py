"""GPUs as a price table and a config write them, whatever a driver calls them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SOLD_SIZES_GIB = (4, 6, 8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 64, 80, 94, 96, 128, 141, 180, 192, 288)
"""GPU memory as it is sold and as price tables write it, GiB."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. `model` as the price table writes it ("A10G"); `compute_capability` is "" when the driver does not say."""

    model: str
    memory_gib: float
    compute_capability: str = ""


def most_alike(found: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Return the largest group of equal GPUs: a job that asks for two wants two of a kind."""
    return max((tuple(gpu for gpu in found if gpu == one) for one in found), key=len, default=())


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
