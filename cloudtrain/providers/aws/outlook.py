"""What a launch would make, told for free."""

from concurrent.futures import ThreadPoolExecutor

from ...model.instance import Outlook
from ...model.offer import Offer
from ...model.spec import MachineSpec
from .account import Account
from .describe import usd_per_month
from .image import find_image
from .launch import disk_gb
from .quota import outlook_quota


def outlook(machine: MachineSpec, offer: Offer, account: Account) -> Outlook:
    """Return the image, the disk, the quota and what a stopped machine costs. See `Foreseeing.outlook`."""
    with ThreadPoolExecutor(2) as pool:
        found = pool.submit(find_image, machine.image, offer, account.clients)
        limit = pool.submit(outlook_quota, account.clients, offer)
        image, (quota, is_enough) = found.result(), limit.result()
    size = disk_gb(machine.disk_gb, image)
    told = f"{image.name} ({image.remark})" if image.remark else image.name
    return Outlook(told, size, usd_per_month(size), quota, is_enough)
