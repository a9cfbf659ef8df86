"""What a request for a machine must hold, in Compute's words."""

import base64
import re

from .account import LOCATIONS, Account, is_base64
from .errors import ArmError, invalid
from .images import Image, find_image
from .sizes import RESTRICTED, Size, find_size
from .things import Body

LONGEST_DATA = 65536
NOT_USERS = ("root", "admin", "administrator", "user", "test", "guest", "owner", "console", "server", "sys", "sql", "support")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_])?")
KEYS = ("ssh-rsa ", "ssh-ed25519 ")


def check_new(account: Account, name: str, given: Body) -> tuple[Size, Image, str]:
    """Return the size, the image and its version that a new machine is to have.

    Raises:
        ArmError: the request breaks a rule.
    """
    properties = given.get("properties") or {}
    if not NAME.fullmatch(name):
        raise invalid("vmName", f"The entity name 'vmName' is invalid according to its validation rule: {NAME.pattern}.")
    location = str(given.get("location", "")).replace(" ", "").lower()
    if location not in LOCATIONS:
        text = (
            f"The provided location '{given.get('location')}' is not available for resource type "
            "'Microsoft.Compute/virtualMachines'."
        )
        raise ArmError("LocationNotAvailableForResourceType", f"{text} List of available regions is '{','.join(LOCATIONS)}'.")
    size = check_size(account, location, properties, given.get("zones") or [])
    check_market(size, properties)
    image, version = _check_storage(properties, bool(given.get("plan")))
    _check_login(properties.get("osProfile") or {})
    _check_data(properties)
    _check_security(properties, image)
    return size, image, version


def check_size(account: Account, location: str, properties: Body, zones: list[str]) -> Size:
    """Return the size that is asked for.

    Raises:
        ArmError: there is none of that name, or not there.
    """
    name = str((properties.get("hardwareProfile") or {}).get("vmSize", ""))
    size = find_size(name)
    if size is None:
        raise invalid("vmSize", f"The value {name or 'null'} provided for the VM size is not valid.")
    away = RESTRICTED | account.unavailable
    lacking = [zone for zone in zones if zone not in size.zones]
    if (location, size.name) in away or lacking:
        where = f"location '{location}'" + (f" for zones '{','.join(lacking)}'" if lacking else "")
        text = (
            f"The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {size.name}' is "
            "currently "
        )
        text += f"not available in {where}. Please try another size or deploy to a different location or different zone. "
        raise ArmError("SkuNotAvailable", f"{text}See https://aka.ms/azureskunotavailable for details.")
    return size


def check_market(size: Size, properties: Body) -> None:
    """Hold a request to the rules of the Spot market.

    Raises:
        ArmError: it breaks one.
    """
    is_spot = properties.get("priority") in ("Spot", "Low", "SpotPlus")
    highest = (properties.get("billingProfile") or {}).get("maxPrice", -1)
    if not is_spot and (properties.get("evictionPolicy") or "maxPrice" in (properties.get("billingProfile") or {})):
        raise invalid("evictionPolicy", "Eviction policy and maximum price can be set only for Azure Spot Virtual Machines.")
    if is_spot and not size.spot_price:
        text = f"Azure Spot is not supported for this VM size {size.name}."
        raise ArmError("AzureSpotIsNotSupportedForThisVMSize", text)
    if is_spot and highest != -1 and highest <= 0:
        raise ArmError("MaxPriceValueInvalid", "Max price value must be either -1 or greater than 0.")
    if is_spot and highest != -1 and highest < size.spot_price:
        text = (
            f"Unable to perform operation 'Create VM' since the provided max price '{highest} USD' is lower than the "
            "current spot "
        )
        raise ArmError(
            "SpotPriceGreaterThanProvidedMaxPrice", f"{text}price '{size.spot_price} USD' for Azure Spot VM size '{size.name}'."
        )


def _check_storage(properties: Body, has_plan: bool) -> tuple[Image, str]:
    profile = properties.get("storageProfile") or {}
    disk = profile.get("osDisk") or {}
    if not profile.get("imageReference") or disk.get("createOption", "").lower() != "fromimage":
        raise invalid(
            "storageProfile", "The playground makes machines from images only: imageReference and createOption FromImage."
        )
    image, version = find_image(profile["imageReference"])
    if image.plan and not has_plan:
        text = (
            "Creating a virtual machine from Marketplace image or a custom image sourced from a Marketplace image requires "
            "Plan "
        )
        raise ArmError("VMMarketplaceInvalidInput", f"{text}information in the request. VM: '{image.offer}'.")
    wanted = disk.get("diskSizeGB")
    if wanted is not None and int(wanted) < image.disk_gb:
        text = (
            f"The specified disk size {wanted} GB is smaller than the size of the corresponding disk in the VM image: "
            f"{image.disk_gb} GB. This is not allowed. Please choose equal or greater size or do not specify an explicit size."
        )
        raise invalid("osDisk.diskSizeGB", text)
    return image, version


def _check_login(profile: Body) -> None:
    user, linux = str(profile.get("adminUsername", "")), profile.get("linuxConfiguration") or {}
    if not user or not profile.get("computerName"):
        missing = "adminUsername" if profile.get("computerName") else "osProfile.computerName"
        raise invalid(missing, f"Required parameter '{missing}' is missing (null).")
    if user.lower() in NOT_USERS:
        text = "The Admin Username specified is not allowed. For more information about disallowed usernames, see "
        raise invalid("adminUsername", f"{text}https://aka.ms/vmosprofile")
    keys = (linux.get("ssh") or {}).get("publicKeys") or []
    if not profile.get("adminPassword") and not (linux.get("disablePasswordAuthentication") and keys):
        text = "Authentication using either SSH or by user name and password must be enabled in Linux profile."
        raise invalid("linuxConfiguration", text)
    for key in keys:
        path = f"/home/{user}/.ssh/authorized_keys"
        if key.get("path") != path:
            text = (
                f"Destination path for SSH public keys is currently limited to its default value {path} due to a known "
                "issue in "
            )
            raise invalid("linuxConfiguration.ssh.publicKeys.path", f"{text}Linux provisioning agent.")
        if not str(key.get("keyData", "")).startswith(KEYS):
            raise invalid("linuxConfiguration.ssh.publicKeys.keyData", "The value of parameter keyData is invalid.")


def _check_data(properties: Body) -> None:
    for key, holder in (("customData", properties.get("osProfile") or {}), ("userData", properties)):
        text = str(holder.get(key) or "")
        if not is_base64(text):
            name = "Custom data in OSProfile" if key == "customData" else "User data"
            raise invalid(key, f"{name} must be in Base64 encoding and with a maximum length of 87380 characters.")
        if len(base64.b64decode(text)) > LONGEST_DATA:
            raise invalid(key, f"The value of parameter {key} is too long: at most {LONGEST_DATA} bytes.")


def _check_security(properties: Body, image: Image) -> None:
    profile = properties.get("securityProfile") or {}
    if profile.get("securityType") in ("TrustedLaunch", "ConfidentialVM") and image.generation == "V1":
        text = "Trusted launch is not supported for a Hypervisor Generation '1' image."
        raise ArmError("BadRequest", f"The provided VM size or image does not fit: {text}")
    if profile.get("uefiSettings") and profile.get("securityType") not in ("TrustedLaunch", "ConfidentialVM"):
        raise invalid("securityProfile.uefiSettings", "UEFI settings can be set only with securityType TrustedLaunch.")
