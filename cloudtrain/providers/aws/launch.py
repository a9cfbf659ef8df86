"""Making a machine: what it needs is looked up at once, then its group is made, then it is, its deadline in the same call."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...model.errors import NoCapacityError, ProviderError
from ...model.instance import Instance, InstanceState, LaunchOrder
from ...model.spec import Market
from ..birth import at_deadline, user_data
from ..caller import Network, allowed_from
from ..keys import Keys
from . import profile, schedule, spot, tags
from .account import Account
from .again import asked_again
from .groups import make_group, remove_group
from .image import Image, find_image
from .machines import Found, of_token
from .network import Place, find_place
from .quota import quota_code
from .translate import calling, code_of


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything a launch needs that was there before it."""

    image: Image
    place: Place
    allowed: tuple[Network, ...]
    keys: Keys


def launch(order: LaunchOrder, account: Account) -> Instance:
    """Make the order's machine, or return the one it made. See `Provider.launch`."""
    ready = _looked_up(order, account)
    if isinstance(ready, Found):
        return ready.shown(account)
    group = _made_beside(order, ready, account)
    found = _made(order, request(order, ready, group), group, account)
    account.remember_made(found.id)
    role = schedule.role_arn(found.account_id, account)
    if role is not None:
        # The machine's own deadline protects it already, and a machine without this second one is no reason to end it.
        with suppress(ProviderError):
            end = at_deadline(order)
            schedule.arm(found.region, order.token, found.id, order.lease.deadline, end, role, account)
    return found.shown(account)


def disk_gb(asked: int | None, image: Image) -> int:
    """Return the boot disk's size, GiB: what was asked for, and never less than the image needs."""
    return max(asked or 0, image.disk_gb)


def request(order: LaunchOrder, ready: Ready, group: str) -> Mapping[str, Any]:
    """Return the RunInstances request. The same order gives the same request, or EC2 would not know it again."""
    size = disk_gb(order.disk_gb, ready.image)
    is_spot = order.offer.market is Market.SPOT
    keys = ready.keys
    user = order.machine.ssh.user or ready.image.user
    written = tags.as_list({**tags.of_order(order, keys.issued_at, user, size), **profile.tag_of(order)})
    kinds = ["instance", "volume", "network-interface", *(["spot-instances-request"] if is_spot else [])]
    return {
        "ClientToken": order.token,
        "ImageId": ready.image.id,
        "InstanceType": order.offer.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "UserData": user_data(keys, order.lease.deadline, keys.issued_at, ready.image.first_boot),
        "InstanceInitiatedShutdownBehavior": at_deadline(order).value,
        "BlockDeviceMappings": [
            {
                "DeviceName": ready.image.root_device,
                "Ebs": {"VolumeSize": size, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True},
            }
        ],
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "TagSpecifications": [{"ResourceType": kind, "Tags": written} for kind in kinds],
        **_placed(ready.place, group),
        **profile.of_request(order),
        **({"InstanceMarketOptions": spot.options(order)} if is_spot else {}),
    }


def _looked_up(order: LaunchOrder, account: Account) -> Ready | Found:
    """Ask for everything at once. Nothing is made but the keys here, which go again when something is missing."""
    had_keys = account.keys.keys_of(order.token) is not None
    machine, offer = order.machine, order.offer
    with ThreadPoolExecutor(5) as pool:
        existing = pool.submit(of_token, order.token, offer.region, account)
        image = pool.submit(find_image, machine.image, offer, account.clients)
        place = pool.submit(find_place, machine, offer, account.clients)
        allowed = pool.submit(allowed_from, machine)
        keys = pool.submit(account.keys.made_for, order.token, account.now())
        try:
            found = existing.result()
            if found is not None:
                return _not_ended(found)
            ready = Ready(image.result(), place.result(), allowed.result(), keys.result())
            account.clients.time.must_agree()
            return ready
        except ProviderError:
            if not had_keys and keys.exception() is None:
                account.keys.forget(order.token)
            raise


def _not_ended(found: Found) -> Found:
    if found.state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        raise NoCapacityError(f"The machine this order made ({found.id}) is {found.state.value}; an order makes one machine")
    return found


def _made_beside(order: LaunchOrder, ready: Ready, account: Account) -> str:
    """Make the order's group, and its role where it asks for one; return the group. What was made is gone when one fails."""
    with ThreadPoolExecutor(2) as pool:
        group = pool.submit(make_group, order, ready.place.vpc, ready.allowed, account)
        role = pool.submit(profile.make, order, account)
    try:
        role.result()
        return group.result()
    except ProviderError:
        if group.exception() is None:
            _undo(order, group.result(), account)
            raise
        profile.undo(order, account)
        account.keys.forget(order.token)
        raise


def _placed(place: Place, group: str) -> Mapping[str, Any]:
    if not place.subnet:
        return {"SecurityGroupIds": [group]}
    interface = {
        "DeviceIndex": 0,
        "SubnetId": place.subnet,
        "Groups": [group],
        "AssociatePublicIpAddress": place.is_public,
        "DeleteOnTermination": True,
    }
    return {"NetworkInterfaces": [interface]}


def _made(order: LaunchOrder, wanted: Mapping[str, Any], group: str, account: Account) -> Found:
    region = order.offer.region

    def ask() -> Found:
        with calling(region, quota=quota_code(order.offer.instance_type, order.offer.market)):
            reply = account.clients.launching(region).run_instances(**wanted)
        return Found(reply["Instances"][0], region, str(reply.get("OwnerId", "")))

    try:
        return profile.until_known(lambda: asked_again(ask, account.settings.clock), account.settings.clock)
    except ProviderError as error:
        if code_of(error) == "IdempotentParameterMismatch":
            found = of_token(order.token, region, account)
            if found is not None:
                return _not_ended(found)
        if code_of(error):
            _undo(order, group, account)
        # Without an answer a machine may have been made: its group and keys stay until somebody has looked for it.
        raise


def _undo(order: LaunchOrder, group: str, account: Account) -> None:
    """Remove what was made beside the machine. EC2 keeps a group that a machine uses: then there is one, and the rest stays."""
    with suppress(ProviderError):  # what stays carries our tags and is found as a leftover
        if remove_group(order.offer.region, group, account):
            account.keys.forget(order.token)
            profile.undo(order, account)
