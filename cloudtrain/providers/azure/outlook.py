"""What a launch would make, told for free."""

from concurrent.futures import ThreadPoolExecutor

from ...model.instance import Outlook
from ...model.offer import Offer
from ...model.spec import MachineSpec
from .arm import Arm
from .image import find_image
from .quota import outlook_quota
from .retail_prices import stopped_usd_per_month


def outlook(machine: MachineSpec, offer: Offer, arm: Arm) -> Outlook:
    """Return the image, the disk, the quota and what a deallocated machine costs. See `Foreseeing.outlook`."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(outlook_quota, arm, offer)
        image = find_image(machine, offer, arm)
        quota, is_enough = asked.result()
    size = max(machine.disk_gb or 0, image.disk_gb)
    told = f"{image.name} ({image.remark})" if image.remark else image.name
    return Outlook(told, size, stopped_usd_per_month(size), quota, is_enough)
