"""RunInstances: every rule that EC2 has and moto has not, before moto makes the machine."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from .account import Account, Handler, Machine, SpotRequest, fingerprint, refuse_dry_run
from .disks import complete_mappings, set_delete_on_termination
from .images import login_user
from .launch_rules import check_groups, check_image, check_key, check_place, check_profile, check_tags, check_type
from .lifecycle import Lifecycle
from .prices import spot_price
from .quotas import Quotas
from .wire import ApiCall, CloudError

USER_DATA_LIMIT = 16384
TOKEN_LIMIT = 64


@dataclass(frozen=True, slots=True)
class _Launch:
    """What a token stands for."""

    fingerprint: str
    reservation: Any


class Launches:
    """Answers RunInstances."""

    def __init__(self, account: Account, lifecycle: Lifecycle, quotas: Quotas) -> None:
        self._account, self._lifecycle, self._quotas = account, lifecycle, quotas
        self._by_token: dict[tuple[str, str, str], _Launch] = {}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return the calls this answers."""
        return {("ec2", "RunInstances"): self._run}

    def _run(self, call: ApiCall) -> object:
        given, asked = call.parameters, fingerprint(call.parameters)
        backend = self._account.moto.ec2(call.region)
        zone = self._check(call, backend)
        refuse_dry_run(call)
        token = str(given.get("ClientToken") or "")
        known = self._by_token.get((call.region, zone, token))
        if token and known is not None:
            return self._again(known, asked)
        market = _market(given)
        complete_mappings(given, backend)
        given["MinCount"] = given["MaxCount"] = self._count(call, market)
        before = set(backend.reservations)
        reply = self._account.moto.answer(self._account.moto.rewrite(call))
        made = [key for key in backend.reservations if key not in before]
        if not made:
            return reply  # moto's own refusal
        reservation = backend.reservations[made[0]]
        for instance in reservation.instances:
            self._take_in(call, instance, market)
        if token:
            self._by_token[call.region, zone, token] = _Launch(asked, reservation)
        return reservation

    def _check(self, call: ApiCall, backend: Any) -> str:
        """Refuse what EC2 refuses; return the zone that was asked for, or "" when EC2 was to choose one."""
        given = call.parameters
        if len(str(given.get("ClientToken") or "")) > TOKEN_LIMIT:
            raise CloudError("InvalidParameterValue", "The client token is longer than 64 characters")
        if given.get("LaunchTemplate"):
            raise CloudError("UnsupportedOperation", "The playground knows no launch templates.")
        _check_counts(given)
        image = check_image(given, backend)
        check_type(given, image)
        zone = check_place(given, call.region, backend)
        check_groups(given, backend)
        check_key(given, backend)
        check_profile(given, self._account.moto.iam())
        check_tags(given)
        _check_user_data(given)
        _check_market(given, call.region, zone)
        return zone

    def _again(self, known: _Launch, asked: str) -> object:
        if known.fingerprint != asked:
            text = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
            raise CloudError("IdempotentParameterMismatch", text)
        ended = all(instance.state == "terminated" for instance in known.reservation.instances)
        if ended and self._account.token_of_terminated_is_error:
            text = "The client token you have provided is associated with a terminated instance. "
            text += "Please use a different client token."
            raise CloudError("IdempotentInstanceTerminated", text)
        return known.reservation

    def _count(self, call: ApiCall, market: str) -> int:
        """Return how many machines to make: as many as fit, up to the most that were asked for."""
        name = str(call.parameters.get("InstanceType"))
        room = self._quotas.room(call.region, name, market)
        if room < int(call.parameters["MinCount"]):
            raise self._quotas.refusal(call.region, name, market)
        return min(room, int(call.parameters["MaxCount"]))

    def _take_in(self, call: ApiCall, instance: Any, market: str) -> None:
        now = self._account.timeline.now()
        instance.launch_time = now
        machine = Machine(
            id=instance.id,
            region=call.region,
            instance=instance,
            user=login_user(instance.image_id, call.region),
            behavior_given=bool(call.parameters.get("InstanceInitiatedShutdownBehavior")),
            hidden_reads=self._account.faults.stale_reads,
        )
        for device, disk in instance.block_device_mapping.items():
            set_delete_on_termination(instance, device, disk.delete_on_termination)
        tags = {spec["ResourceType"]: spec.get("Tags", []) for spec in call.parameters.get("TagSpecifications", [])}
        for nic in instance.nics.values():
            nic.add_tags({tag["Key"]: tag.get("Value", "") for tag in tags.get("network-interface", [])})
        if market == "spot":
            self._request_spot(machine, tags.get("spot-instances-request", []))
        self._lifecycle.launch(machine)

    def _request_spot(self, machine: Machine, tags: list[dict[str, str]]) -> None:
        zone = machine.instance.availability_zone
        request = SpotRequest(
            id="sir-" + machine.id.removeprefix("i-")[:8],
            region=machine.region,
            instance_id=machine.id,
            zone=zone,
            made=self._account.timeline.now(),
            price=f"{spot_price(machine.instance.instance_type, machine.region, zone) or 0:.6f}",
        )
        machine.spot_request = machine.instance.spot_instance_request_id = request.id
        machine.instance.lifecycle = "spot"
        self._account.spot_requests[request.id] = request
        if tags:
            backend = self._account.moto.ec2(machine.region)
            backend.create_tags([request.id], {tag["Key"]: tag.get("Value", "") for tag in tags})


def _market(given: dict[str, Any]) -> str:
    return "spot" if (given.get("InstanceMarketOptions") or {}).get("MarketType") == "spot" else "on-demand"


def _check_counts(given: dict[str, Any]) -> None:
    least, most = int(given.get("MinCount") or 0), int(given.get("MaxCount") or 0)
    if not 1 <= least <= most:
        raise CloudError("InvalidParameterValue", f"Not 1 <= minCount <= maxCount: minCount {least}, maxCount {most}")


def _check_user_data(given: dict[str, Any]) -> None:
    try:
        data = base64.b64decode(_text(given.get("UserData")), validate=True)
    except binascii.Error as error:
        raise CloudError("InvalidParameterValue", "Invalid BASE64 encoding of user data.") from error
    if len(data) > USER_DATA_LIMIT:
        raise CloudError("InvalidParameterValue", f"User data is limited to {USER_DATA_LIMIT} bytes")


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")


def _check_market(given: dict[str, Any], region: str, zone: str) -> None:
    options = given.get("InstanceMarketOptions") or {}
    spot = options.get("SpotOptions") or {}
    if not options:
        return
    if options.get("MarketType") != "spot":
        raise CloudError("UnsupportedOperation", f"The playground knows no market {options.get('MarketType')!r}.")
    if spot.get("SpotInstanceType", "one-time") != "one-time":
        raise CloudError("UnsupportedOperation", "The playground knows one-time spot requests only.")
    if spot.get("InstanceInterruptionBehavior", "terminate") != "terminate":
        text = "The parameter InstanceInterruptionBehavior is not supported for one-time Spot requests."
        raise CloudError("InvalidParameterCombination", text)
    price = spot_price(str(given.get("InstanceType")), region, zone) if zone else None
    if spot.get("MaxPrice") and price is not None and float(spot["MaxPrice"]) < price:
        text = f"Your Spot request price of {spot['MaxPrice']} is lower than the required fulfillment price of {price}."
        raise CloudError("SpotMaxPriceTooLow", text)
