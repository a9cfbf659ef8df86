"""Looking at machines, and switching them on and off."""

import re
from typing import Any

from .account import Account, Handler, Machine, refuse_dry_run
from .filters import check_filters, passes
from .lifecycle import Lifecycle
from .wire import ApiCall, CloudError, strings

INSTANCE_ID = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})")
SMALLEST_PAGE, LARGEST_PAGE = 5, 1000
DEFAULT_PAGE = 100


class Instances:
    """Answers for instances that exist."""

    def __init__(self, account: Account, lifecycle: Lifecycle) -> None:
        self._account, self._lifecycle = account, lifecycle

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return the calls this answers."""
        return {
            ("ec2", "DescribeInstances"): self._describe,
            ("ec2", "DescribeInstanceStatus"): self._describe_status,
            ("ec2", "StartInstances"): self._start,
            ("ec2", "StopInstances"): self._stop,
            ("ec2", "RebootInstances"): self._reboot,
            ("ec2", "TerminateInstances"): self._terminate,
        }

    def named(self, call: ApiCall, *ids: str) -> list[Machine]:
        """Return the machines a call names.

        Raises:
            CloudError: one is no instance id, or there is no such machine.
        """
        bad = [id for id in ids if not INSTANCE_ID.fullmatch(id)]
        if bad:
            raise CloudError("InvalidInstanceID.Malformed", f'Invalid id: "{bad[0]}"')
        found = {machine.id: machine for machine in self._account.in_region(call.region)}
        hidden = call.action.startswith("Describe")
        missing = [id for id in ids if id not in found or (hidden and found[id].hidden_reads > 0)]
        if missing:
            self._read([found[id] for id in missing if id in found])
            what = f"ID '{missing[0]}' does" if len(missing) == 1 else f"IDs '{', '.join(missing)}' do"
            raise CloudError("InvalidInstanceID.NotFound", f"The instance {what} not exist")
        return [found[id] for id in ids]

    def _describe(self, call: ApiCall) -> object:
        shown = self._shown(call)
        page, token = _page(call, shown)
        self._lifecycle.seen(page)
        return {"Reservations": self._reservations(call.region, page), "NextToken": token}

    def _describe_status(self, call: ApiCall) -> object:
        shown = self._shown(call)
        if str(call.parameters.get("IncludeAllInstances")).lower() != "true":
            shown = [machine for machine in shown if machine.state == "running"]
        page, token = _page(call, shown)
        self._lifecycle.seen(page)
        return {"InstanceStatuses": [machine.instance for machine in page], "NextToken": token}

    def _shown(self, call: ApiCall) -> list[Machine]:
        check_filters(call)
        ids = strings(call.parameters, "InstanceIds")
        if ids and call.parameters.get("MaxResults"):
            text = "The parameter instancesSet cannot be used with the parameter maxResults"
            raise CloudError("InvalidParameterCombination", text)
        candidates = self.named(call, *ids) if ids else self._account.in_region(call.region)
        refuse_dry_run(call)
        filters = call.parameters.get("Filters") or []
        visible = [machine for machine in candidates if machine.hidden_reads == 0]
        self._read(candidates)
        return [machine for machine in visible if passes(machine, filters)]

    def _read(self, machines: list[Machine]) -> None:
        for machine in machines:
            machine.hidden_reads = max(0, machine.hidden_reads - 1)

    def _reservations(self, region: str, machines: list[Machine]) -> list[dict[str, Any]]:
        wanted = {machine.id: machine.instance for machine in machines}
        answer = []
        for reservation in self._account.moto.ec2(region).reservations.values():
            instances = [instance for instance in reservation.instances if instance.id in wanted]
            if instances:
                about = {"ReservationId": reservation.id, "OwnerId": reservation.owner_id, "Groups": []}
                answer.append(about | {"Instances": instances})
        return answer

    def _start(self, call: ApiCall) -> object:
        machines = self._existing(call)
        for machine in machines:
            if machine.state not in ("stopped", "pending", "running"):
                raise _incorrect(machine, "from which it can be started")
        refuse_dry_run(call)
        answer = []
        for machine in machines:
            before = _state(machine)
            if machine.state == "stopped":
                self._lifecycle.start(machine)
            answer.append(_change(machine, before))
        return {"StartingInstances": answer}

    def _stop(self, call: ApiCall) -> object:
        machines = self._existing(call)
        for machine in machines:
            self._check_stop(machine)
        refuse_dry_run(call)
        answer = []
        for machine in machines:
            before = _state(machine)
            if machine.state in ("pending", "running"):
                self._lifecycle.stop(machine)
            answer.append(_change(machine, before))
        return {"StoppingInstances": answer}

    def _check_stop(self, machine: Machine) -> None:
        if machine.spot_request:
            text = f"You can't stop the Spot Instance '{machine.id}' because it is associated with a one-time "
            text += "Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests."
            raise CloudError("UnsupportedOperation", text)
        if machine.state in ("shutting-down", "terminated"):
            raise _incorrect(machine, "from which it can be stopped")
        if machine.instance.disable_api_stop:
            text = f"The instance '{machine.id}' may not be stopped. Modify its 'disableApiStop' attribute."
            raise CloudError("OperationNotPermitted", text)

    def _reboot(self, call: ApiCall) -> object:
        machines = self._existing(call)
        for machine in machines:
            if machine.state != "running":
                raise _incorrect(machine, "from which it can be rebooted")
        refuse_dry_run(call)
        for machine in machines:
            self._lifecycle.reboot(machine)
        return {}

    def _terminate(self, call: ApiCall) -> object:
        machines = self._existing(call)
        for machine in machines:
            if machine.instance.disable_api_termination:
                text = f"The instance '{machine.id}' may not be terminated. Modify its 'disableApiTermination' attribute."
                raise CloudError("OperationNotPermitted", text)
        refuse_dry_run(call)
        answer = []
        for machine in machines:
            before = _state(machine)
            self._lifecycle.terminate(machine)
            answer.append(_change(machine, before))
        return {"TerminatingInstances": answer}

    def _existing(self, call: ApiCall) -> list[Machine]:
        ids = strings(call.parameters, "InstanceIds")
        if not ids:
            raise CloudError("MissingParameter", "The request must contain the parameter InstanceId")
        return self.named(call, *ids)


def _incorrect(machine: Machine, wanted: str) -> CloudError:
    text = f"The instance '{machine.id}' is not in a state {wanted}: it is {machine.state}."
    return CloudError("IncorrectInstanceState", text)


def _state(machine: Machine) -> dict[str, object]:
    return {"Code": machine.instance.state_code, "Name": machine.state}


def _change(machine: Machine, before: dict[str, object]) -> dict[str, object]:
    return {"InstanceId": machine.id, "CurrentState": _state(machine), "PreviousState": before}


def _page(call: ApiCall, machines: list[Machine]) -> tuple[list[Machine], str | None]:
    asked = call.parameters.get("MaxResults")
    size = int(asked) if asked else (LARGEST_PAGE if call.parameters.get("InstanceIds") else DEFAULT_PAGE)
    if not SMALLEST_PAGE <= size <= LARGEST_PAGE:
        limits = f"Expecting a value from {SMALLEST_PAGE} to {LARGEST_PAGE}."
        text = f"Value ( {size} ) for parameter maxResults is invalid. {limits}"
        raise CloudError("InvalidParameterValue", text)
    start = str(call.parameters.get("NextToken") or "0")
    if not start.isdigit():
        raise CloudError("InvalidParameterValue", "Unable to parse pagination token")
    rest = machines[int(start) :]
    return rest[:size], (str(int(start) + size) if len(rest) > size else None)
