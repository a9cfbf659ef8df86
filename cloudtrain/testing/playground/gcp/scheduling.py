"""How a machine may run and end: what `scheduling` allows, at first and later.

What may be changed of a machine that runs: the reference of instances.setScheduling says that the method is for machines that
are TERMINATED (docs.cloud.google.com/compute/docs/reference/rest/v1/instances/setScheduling). In practice, as Terraform's
provider uses it (`schedulingHasChangeWithoutReboot` in compute_instance_helpers.go), `automaticRestart`, `onHostMaintenance`
and `hostErrorTimeoutSeconds` can be changed on a running one, and `maxRunDuration` and `nodeAffinities` need it stopped; for
`minNodeCpus` Google answers "minNodeCpus cannot be changed while the instance is running" (terraform-provider-google, issue
18217). `preemptible` needs it stopped by its own description. So does, here, everything else: `terminationTime`,
`instanceTerminationAction`, `provisioningModel`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from .account import Body
from .errors import GoogleError, invalid
from .hardware import accelerators_of, last, machine_types

WHERE = "resource.scheduling"
ON_A_RUNNING_ONE = ("automaticRestart", "onHostMaintenance", "hostErrorTimeoutSeconds")
SHORTEST_RUN_S, LONGEST_RUN_S = 30, 120 * 86400
NOTICES_S = (0, 120)


def complete(given: Body) -> Body:
    """Return scheduling with what Google sets where nothing was said."""
    is_spot = given.get("provisioningModel") == "SPOT" or bool(given.get("preemptible"))
    scheduling = {
        "provisioningModel": "SPOT" if given.get("provisioningModel") == "SPOT" else "STANDARD",
        "preemptible": is_spot,
        "automaticRestart": not is_spot,
        "onHostMaintenance": "TERMINATE" if is_spot else "MIGRATE",
        **{key: value for key, value in given.items() if value is not None},
    }
    has_end = "maxRunDuration" in scheduling or "terminationTime" in scheduling
    if has_end or is_spot:
        scheduling.setdefault("instanceTerminationAction", "STOP")
    return scheduling | {"preemptible": is_spot}


def check(instance: Body, now: datetime) -> None:
    """Refuse an instance whose scheduling Google refuses; it is complete.

    Raises:
        GoogleError: 400.
    """
    scheduling: Body = instance["scheduling"]
    for wrong in (*_of_the_market(scheduling), *_of_the_hardware(instance, scheduling), *_of_the_end(scheduling, now)):
        raise wrong


def changed(old: Body, given: Body, *, is_running: bool) -> Body:
    """Return scheduling with a change to it; a field that is given as null is taken away.

    Raises:
        GoogleError: 400; that field cannot be changed while the machine runs.
    """
    wanted = {key: value for key, value in {**old, **given}.items() if value is not None}
    for key in sorted({**old, **wanted}):
        if is_running and old.get(key) != wanted.get(key) and key not in ON_A_RUNNING_ONE:
            text = f"{key} cannot be changed while the instance is running."
            raise GoogleError(400, "invalid", f"Invalid value for field '{WHERE}': {text}")
    if given.get("provisioningModel") and "preemptible" not in given:
        wanted["preemptible"] = given["provisioningModel"] == "SPOT"
    return wanted


def seconds(duration: Any) -> float:
    """Return a Duration's length."""
    return float(duration.get("seconds", 0)) + float(duration.get("nanos", 0)) / 1e9 if duration else 0.0


def _of_the_market(scheduling: Body) -> Iterator[GoogleError]:
    model, is_spot = scheduling["provisioningModel"], scheduling["preemptible"]
    if model not in ("STANDARD", "SPOT"):
        yield invalid(f"{WHERE}.provisioningModel", model, "The playground has STANDARD and SPOT only.")
    if is_spot and scheduling["automaticRestart"]:
        yield GoogleError(400, "invalid", "Scheduling must have preemptible be false when AutomaticRestart is true.")
    if is_spot and scheduling["onHostMaintenance"] != "TERMINATE":
        yield GoogleError(400, "invalid", "Scheduling must have preemptible be false when OnHostMaintenance isn't TERMINATE.")
    if "preemptionNoticeDuration" in scheduling:
        notice = seconds(scheduling["preemptionNoticeDuration"])
        if model != "SPOT":
            text = "preemptionNoticeDuration can only be set for instances with the SPOT provisioning model."
            yield invalid(f"{WHERE}.preemptionNoticeDuration", f"{notice:g}s", text)
        if notice not in NOTICES_S:
            yield invalid(f"{WHERE}.preemptionNoticeDuration", f"{notice:g}s", "It must be 0 or 120 seconds.")


def _of_the_hardware(instance: Body, scheduling: Body) -> Iterator[GoogleError]:
    size = machine_types()[last(str(instance["machineType"]))]
    is_spot = scheduling["preemptible"]
    if accelerators_of(instance) and scheduling["onHostMaintenance"] != "TERMINATE":
        yield GoogleError(400, "invalid", "Instances with guest accelerators do not support live migration.")
    # "E2 machine types can only live migrate during host maintenance events, unless they're Spot VMs":
    # docs.cloud.google.com/compute/docs/instances/setting-vm-host-options
    if size.family == "e2" and not is_spot and scheduling["onHostMaintenance"] != "MIGRATE":
        text = "Instances of the E2 machine family only support live migration, unless they are Spot VMs."
        yield invalid(f"{WHERE}.onHostMaintenance", scheduling["onHostMaintenance"], text)
    if size.spot_only and not is_spot:
        text = f"Machine type {size.name} is not available with the STANDARD provisioning model."
        yield invalid(f"{WHERE}.provisioningModel", scheduling["provisioningModel"], text)


def _of_the_end(scheduling: Body, now: datetime) -> Iterator[GoogleError]:
    """Hold the end to cloud.google.com/compute/docs/instances/limit-vm-runtime."""
    has_length, moment = "maxRunDuration" in scheduling, str(scheduling.get("terminationTime", ""))
    if has_length and moment:
        yield GoogleError(400, "invalid", "Only one of maxRunDuration and terminationTime can be specified.")
    if (has_length or moment) and scheduling["preemptible"] and scheduling["provisioningModel"] != "SPOT":
        yield GoogleError(400, "invalid", "Limiting the run time is not supported for legacy preemptible instances.")
    if not has_length and not moment and not scheduling["preemptible"] and "instanceTerminationAction" in scheduling:
        text = "instanceTerminationAction can only be set for Spot VMs or for instances with a limited run time."
        yield invalid(f"{WHERE}.instanceTerminationAction", scheduling["instanceTerminationAction"], text)
    length = seconds(scheduling.get("maxRunDuration"))
    if has_length and not SHORTEST_RUN_S <= length <= LONGEST_RUN_S:
        yield invalid(f"{WHERE}.maxRunDuration", f"{length:g}s", "It must be between 30 seconds and 120 days.")
    if moment and not (_moment(moment) is not None and _moment(moment) > now):
        yield invalid(f"{WHERE}.terminationTime", moment, "It must be a time in the future, in RFC3339 text format.")


def _moment(text: str) -> Any:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
