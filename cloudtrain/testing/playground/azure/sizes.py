"""The sizes there are: what they have, what they cost, which quota they count against. The same in every location."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """What `nvidia-smi` shows of one."""

    name: str = ""
    memory_mib: int = 0
    compute_capability: str = ""


@dataclass(frozen=True, slots=True)
class Size:
    """One size.

    Attributes:
        family: as Resource SKUs write it; usages write the same family with other capitals and without spaces.
        price, spot_price: dollars per hour; a spot price of 0 is a size that is not sold on the spot market.
        zones: the availability zones that have it.
        is_retired: it has a price and nothing else any more.
    """

    name: str
    family: str
    vcpus: int
    memory_gb: float
    price: float
    spot_price: float = 0.0
    gpus: int = 0
    gpu: Gpu = Gpu()
    zones: tuple[str, ...] = ("1", "2", "3")
    is_retired: bool = False

    @property
    def usage_name(self) -> str:
        """Return the family as usages write it."""
        plain = self.family.replace(" ", "")
        return plain[0].lower() + plain[1:]


T4 = Gpu("Tesla T4", 15360, "7.5")
A10 = Gpu("NVIDIA A10-24Q", 24512, "8.6")
A100 = Gpu("NVIDIA A100 80GB PCIe", 81920, "8.0")
A100_40 = Gpu("NVIDIA A100-SXM4-40GB", 40960, "8.0")
H100_NVL = Gpu("NVIDIA H100 NVL", 95830, "9.0")
H100 = Gpu("NVIDIA H100 80GB HBM3", 81559, "9.0")
V100 = Gpu("Tesla V100-PCIE-16GB", 16384, "7.0")
NC_T4, NV_A10, NC_A100 = "Standard NCASv3_T4 Family", "StandardNVADSA10v5Family", "StandardNCADSA100v4Family"
NC_H100 = "StandardNCadsH100v5Family"
SOME = ("1", "2")

SIZES = {
    size.name: size
    for size in (
        Size("Standard_B1s", "standardBSFamily", 1, 1, 0.0104),
        Size("Standard_B2s", "standardBSFamily", 2, 4, 0.0416),
        Size("Standard_D2s_v5", "standardDSv5Family", 2, 8, 0.096, 0.0192),
        Size("Standard_D4s_v5", "standardDSv5Family", 4, 16, 0.192, 0.0384),
        Size("Standard_NC4as_T4_v3", NC_T4, 4, 28, 0.526, 0.149174, 1, T4, SOME),
        Size("Standard_NC8as_T4_v3", NC_T4, 8, 56, 0.752, 0.213267, 1, T4, SOME),
        Size("Standard_NC16as_T4_v3", NC_T4, 16, 110, 1.204, 0.341454, 1, T4, SOME),
        Size("Standard_NC64as_T4_v3", NC_T4, 64, 440, 4.352, 1.234227, 4, T4, SOME),
        Size("Standard_NV36ads_A10_v5", NV_A10, 36, 440, 3.2, 0.591361, 1, A10, SOME),
        Size("Standard_NV72ads_A10_v5", NV_A10, 72, 880, 6.52, 1.204896, 2, A10, SOME),
        Size("Standard_NC24ads_A100_v4", NC_A100, 24, 220, 3.673, 0.67877, 1, A100, SOME),
        Size("Standard_NC48ads_A100_v4", NC_A100, 48, 440, 7.346, 1.35754, 2, A100, SOME),
        Size("Standard_NC96ads_A100_v4", NC_A100, 96, 880, 14.692, 2.715082, 4, A100, SOME),
        Size("Standard_NC40ads_H100_v5", NC_H100, 40, 320, 6.98, 1.289904, 1, H100_NVL, SOME),
        Size("Standard_NC80adis_H100_v5", NC_H100, 80, 640, 13.96, 2.579808, 2, H100_NVL, SOME),
        Size("Standard_ND96asr_v4", "standardNDASv4_A100Family", 96, 900, 27.197, 5.904469, 8, A100_40, ("1",)),
        Size("Standard_ND96isr_H100_v5", "standardNDSH100v5Family", 96, 1900, 98.32, 18.169536, 8, H100, ("1",)),
        Size("Standard_NC6s_v3", "standardNCSv3Family", 6, 112, 3.06, 0.3, 1, V100, is_retired=True),
    )
}

RESTRICTED = {("westeurope", "Standard_NC40ads_H100_v5"), ("westeurope", "Standard_NC80adis_H100_v5")}
"""Where a size is shown with a restriction, and is not to be had."""


def find_size(name: str) -> Size | None:
    """Return a size by its name, however its capitals are written."""
    return next((size for size in SIZES.values() if size.name.lower() == name.lower() and not size.is_retired), None)
