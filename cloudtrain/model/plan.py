"""The plan: what would be rented, in which order, and how long the money lasts."""

from dataclasses import dataclass

from .lease import Lease
from .offer import Offer
from .spec import MachineSpec, OnFinish


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: the offers it takes (one per machine of the run) and the lease they would be born with."""

    offers: tuple[Offer, ...]
    lease: Lease


@dataclass(frozen=True, slots=True)
class Plan:
    """What fits, cheapest first.

    Attributes:
        warnings: sentences a person should read before money is spent.
        at_deadline: TERMINATE or STOP: what the deadline does to the machine.
        checkpoints: object storage folder the machine itself may read and write, or "".
    """

    machine: MachineSpec
    attempts: tuple[Attempt, ...]
    warnings: tuple[str, ...] = ()
    at_deadline: OnFinish = OnFinish.TERMINATE
    checkpoints: str = ""
