"""NVIDIA's driver for a GPU that no image has one for: an extension of Microsoft's installs it, and may restart the machine.

What it does is not waited for here: a machine is ready when its GPUs answer.
"""

from typing import Any

from .account import Account
from .names import Places
from .versions import COMPUTE

NAME = "NvidiaGpuDriverLinux"
_MAKE = "Microsoft.Compute/virtualMachines/extensions/write"


def bring_driver(places: Places, region: str, account: Account) -> None:
    """Have the driver installed that the machine's size wants. Asked again, it does nothing more.

    Raises:
        ProviderError: Azure does not let it be.
    """
    properties: dict[str, Any] = {
        "publisher": "Microsoft.HpcCompute",
        "type": NAME,
        "typeHandlerVersion": "1.6",
        "autoUpgradeMinorVersion": True,
    }
    body = {"location": region, "properties": properties}
    account.arm.begin(_MAKE, "PUT", f"{places.machine}/extensions/{NAME}", api=COMPUTE, body=body)
