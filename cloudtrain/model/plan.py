"""The plan: what would be rented, in which order, and how long the money lasts."""

from dataclasses import dataclass

from .lease import Lease
from .offer import Offer
from .spec import MachineSpec


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
    """

    machine: MachineSpec
    attempts: tuple[Attempt, ...]
    warnings: tuple[str, ...] = ()
