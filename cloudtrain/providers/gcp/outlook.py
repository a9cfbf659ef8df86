"""What a launch would make, told for free."""

from concurrent.futures import ThreadPoolExecutor

from ...model.instance import Outlook
from ...model.offer import Offer
from ...model.spec import MachineSpec
from .billing import CPU_IMAGE_GIB, GPU_IMAGE_GIB, disk_usd_per_month
from .image import find_image
from .quota import outlook_quota
from .rest import Rest
from .tpu_types import kind_of


def outlook(machine: MachineSpec, offer: Offer, rest: Rest) -> Outlook:
    """Return the image, the disk, the quota and what a stopped machine costs. See `Foreseeing.outlook`."""
    tpu = kind_of(offer.instance_type)
    if tpu is not None:  # what its limits are, and how large Google makes its disk, is in no answer we may read
        return Outlook(tpu.runtime if machine.image == "auto" else machine.image, machine.disk_gb or GPU_IMAGE_GIB, 0.0)
    assumed = machine.disk_gb or (GPU_IMAGE_GIB if offer.gpu else CPU_IMAGE_GIB)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(outlook_quota, rest, offer, assumed)
        image = find_image(machine.image, offer, rest)
        quota, is_enough = asked.result()
    size = max(machine.disk_gb or 0, image.disk_gb)
    told = f"{image.name} ({image.remark})" if image.remark else image.name
    return Outlook(told, size, disk_usd_per_month(size), quota, is_enough)
