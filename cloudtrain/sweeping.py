"""Sweep: find and end the machines of ours that no live run needs."""

from collections.abc import Collection

from .journey import Tools
from .model.errors import CloudtrainError, ShutdownError
from .model.instance import Instance, InstanceRef
from .model.spec import MachineSpec
from .overview import MachineStatus, Standing, Status, accounts, machines_at
from .stages.shut_down import terminate
from .whereabouts import forget, rentable


def unneeded(status: Status) -> list[MachineStatus]:
    """Return what a sweep would end: machines of ours that are over their deadline or that no live run uses.

    A machine that somebody started by name and still wants is among them: it is for a person to say.
    """
    return [
        machine
        for machine in status.machines
        if machine.standing is not Standing.ANOTHERS and (machine.standing is Standing.OVERDUE or not machine.run)
    ]


def sweep(agreed: Collection[InstanceRef], tools: Tools) -> list[Instance]:
    """End the machines that were agreed on and are still not needed, disks included; return those seen to be gone.

    Everything is looked at again first: a run that began meanwhile keeps its machine. One that does not end stops none of
    the others.

    Raises:
        ShutdownError: after everything was tried, some are not confirmed to be gone.
    """
    ended: list[Instance] = []
    failed: list[str] = []
    for spec in accounts(tools):
        try:
            found = unneeded(Status(tuple(machines_at(spec, tools)), (), ()))
        except CloudtrainError as error:
            failed.append(f"{spec.provider} does not answer: {error.message}")
            continue
        for machine in found:
            if machine.instance.ref in agreed:
                try:
                    ended.append(_end(machine.instance, spec, tools))
                except CloudtrainError as error:
                    failed.append(error.message)
    if failed:
        raise ShutdownError("\n".join(failed), "Something may still bill. Look: cloudtrain status")
    return ended


def _end(instance: Instance, spec: MachineSpec, tools: Tools) -> Instance:
    provider = rentable(tools.open_provider(spec), spec)
    with tools.uninterrupted():
        terminate(instance, provider, tools.clock, tools.tell)
        forget(MachineSpec(instance.name, spec.provider), instance, tools)
    return instance
