"""Sweep: find and end the machines of ours that no live run needs, and remove what is left of those that are gone."""

from collections.abc import Collection
from dataclasses import dataclass

from .journey import Tools
from .model.errors import CloudtrainError, ShutdownError
from .model.instance import Instance, InstanceRef, Leftover
from .model.spec import MachineSpec
from .overview import MachineStatus, Standing, Status, accounts, leftovers_at, machines_at
from .spending import noted
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


@dataclass(frozen=True, slots=True)
class Swept:
    """The machines that were seen to be gone, and what else was removed."""

    ended: tuple[Instance, ...]
    removed: tuple[Leftover, ...]


def sweep(agreed: Collection[InstanceRef | Leftover], tools: Tools) -> Swept:
    """End the machines that were agreed on and are still not needed, disks included, and remove what is left of others.

    Everything is looked at again first: a run that began meanwhile keeps its machine. One that does not end stops none of
    the others.

    Raises:
        ShutdownError: after everything was tried, some are not confirmed to be gone.
    """
    ended: list[Instance] = []
    removed: list[Leftover] = []
    failed: list[str] = []
    concerned = {thing.provider for thing in agreed}
    for spec in accounts(tools):
        if spec.provider not in concerned:
            continue
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
        removed += _remove_leftovers(agreed, spec, tools, failed)
    if failed:
        raise ShutdownError("\n".join(failed), "Something may still bill. Look: cloudtrain status")
    return Swept(tuple(ended), tuple(removed))


def _remove_leftovers(
    agreed: Collection[InstanceRef | Leftover], spec: MachineSpec, tools: Tools, failed: list[str]
) -> list[Leftover]:
    """Remove what was agreed on and is still left over; what cannot be removed is added to `failed`."""
    provider = rentable(tools.open_provider(spec), spec)
    removed: list[Leftover] = []
    try:
        for leftover in leftovers_at(spec, tools):
            if leftover in agreed:
                provider.remove(leftover)
                removed.append(leftover)
    except CloudtrainError as error:
        failed.append(error.message)
    return removed


def _end(instance: Instance, spec: MachineSpec, tools: Tools) -> Instance:
    provider = rentable(tools.open_provider(spec), spec)
    with tools.uninterrupted():
        terminate(instance, provider, tools.clock, tools.tell)
        with noted(tools.tell):
            tools.ledger.spend.ended(instance.ref, tools.clock.now())
        forget(MachineSpec(instance.name, spec.provider), instance, tools)
    return instance
