"""Spot requests: one-time, made by a launch, to be looked at and cancelled."""

from .account import Account, Handler, SpotRequest, refuse_dry_run, tags_of
from .filters import check_filters
from .wire import ApiCall, CloudError, strings

MESSAGES = {
    "fulfilled": "Your spot request is fulfilled.",
    "marked-for-termination": "Your Spot Instance is marked for termination.",
    "instance-terminated-by-user": "Spot instance terminated due to user-initiated termination.",
    "instance-terminated-no-capacity": "Your Spot Instance was terminated because there is no Spot capacity available.",
    "request-canceled-and-instance-running": "Your Spot request is canceled, but the Spot Instance is still running.",
}


class SpotRequests:
    """Answers for spot requests."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return the calls this answers."""
        return {
            ("ec2", "DescribeSpotInstanceRequests"): self._describe,
            ("ec2", "CancelSpotInstanceRequests"): self._cancel,
        }

    def _describe(self, call: ApiCall) -> object:
        check_filters(call)
        requests = self._named(call) or list(self._known(call).values())
        refuse_dry_run(call)
        filters = {item["Name"]: item["Values"] for item in call.parameters.get("Filters") or []}
        shown = [request for request in requests if self._passes(request, filters)]
        return {"SpotInstanceRequests": [self._described(request) for request in shown]}

    def _cancel(self, call: ApiCall) -> object:
        requests = self._named(call)
        refuse_dry_run(call)
        for request in requests:
            if request.state == "active":
                request.state, request.status = "cancelled", "request-canceled-and-instance-running"
        answer = [{"SpotInstanceRequestId": request.id, "State": request.state} for request in requests]
        return {"CancelledSpotInstanceRequests": answer}

    def _named(self, call: ApiCall) -> list[SpotRequest]:
        ids = strings(call.parameters, "SpotInstanceRequestIds")
        known = self._known(call)
        missing = [id for id in ids if id not in known]
        if missing:
            text = f"The spot instance request ID '{missing[0]}' does not exist"
            raise CloudError("InvalidSpotInstanceRequestID.NotFound", text)
        return [known[id] for id in ids]

    def _known(self, call: ApiCall) -> dict[str, SpotRequest]:
        return {id: request for id, request in self._account.spot_requests.items() if request.region == call.region}

    def _passes(self, request: SpotRequest, filters: dict[str, list[str]]) -> bool:
        tags = self._tags(request)
        values = {
            "state": [request.state],
            "status-code": [request.status],
            "instance-id": [request.instance_id],
            "spot-instance-request-id": [request.id],
            "tag-key": list(tags),
        } | {f"tag:{key}": [value] for key, value in tags.items()}
        return all(set(values.get(name, [])) & set(wanted) for name, wanted in filters.items())

    def _described(self, request: SpotRequest) -> dict[str, object]:
        now = self._account.timeline.now().replace(tzinfo=None)
        return {
            "SpotInstanceRequestId": request.id,
            "Type": "one-time",
            "State": request.state,
            "Status": {"Code": request.status, "Message": MESSAGES[request.status], "UpdateTime": now},
            "InstanceId": request.instance_id,
            "LaunchedAvailabilityZone": request.zone,
            "SpotPrice": request.price,
            "ProductDescription": "Linux/UNIX",
            "InstanceInterruptionBehavior": "terminate",
            "CreateTime": request.made.replace(tzinfo=None),
            "Tags": [{"Key": key, "Value": value} for key, value in self._tags(request).items()],
        }

    def _tags(self, request: SpotRequest) -> dict[str, str]:
        return tags_of(self._account.moto.ec2(request.region), request.id)
