"""What a matrix needs of a pretend cloud, whichever it is; its parts are in `aws.py`, `azure.py` and `gcp.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import yaml

from cloudtrain.providers.base import Provider, ProviderSettings


@dataclass(frozen=True)
class Seen:
    """A machine, as whoever stands beside it sees it.

    Attributes:
        state: "on", "off", "gone", or the cloud's word for anything between.
    """

    state: str
    instance_type: str = ""
    address: str = ""


class Pretend(Protocol):
    """A pretend cloud with people in front of it.

    Attributes:
        name: the provider's.
        machine, gpu_machine: names of a cheap machine config and of one with a GPU.
        cheap_type, other_type: what the cheap one is, and what it is resized to.
        gpu_types: two types with one T4, the cheaper one first.
        region, other_region: where each of these types is to be had.
        needs_setup: whether an account is prepared there, once.
        at_deadline: what the cloud itself makes of a machine at its deadline: "gone", or "off".
        renting, ending: the calls where the meter starts and stops. planning: one that a plan asks, and a look does not.
        own_ends: ends that a machine's operating system cannot bring about by itself: the guest asks the cloud, or the cloud
            does it. What the cloud's own record shows is `unarmed`'s to look at.
        cloud: the double, of which only what all of them have is used: calls, faults, machines, violations, advance.
    """

    name: str
    machine: str
    gpu_machine: str
    cheap_type: str
    other_type: str
    gpu_types: tuple[str, str]
    region: str
    other_region: str
    needs_setup: bool
    at_deadline: str
    renting: str
    ending: str
    planning: str
    own_ends: tuple[str, ...]
    cloud: Any

    def environ(self) -> Mapping[str, str]:
        """Return the environment that leads there and nowhere else."""
        ...

    def settle_in(self, home: Path) -> None:
        """Let somebody's state folder know what preparing an account leaves there."""
        ...

    def open_provider(self, settings: ProviderSettings) -> Provider:
        """Return the provider; what is slow to make is made once for all."""
        ...

    def settle(self) -> None:
        """Let what was accepted be done, whether somebody waited for it or not: whoever looks comes later."""
        ...

    def alive(self) -> list[str]:
        """Return the machines that somebody may have to pay for."""
        ...

    def state(self) -> str:
        """Return what the machine made last is: "on", "off", "gone", or the cloud's word for anything between."""
        ...

    def name_of(self, id: str) -> str:
        """Return what a person calls a machine that is there."""
        ...

    def seen(self, id: str) -> Seen:
        """Look at a machine; one that the cloud knows no more is gone."""
        ...

    def left_of(self, name: str) -> list[str]:
        """Return everything that is there of the machines of a name: themselves, and what was made beside them."""
        ...

    def was_armed(self, id: str) -> bool:
        """Say whether the cloud was asked, and agreed, to end a machine at its deadline."""
        ...

    def tried(self) -> list[tuple[str, str]]:
        """Return the region and the type of each machine that was asked for, as a machine config names them."""
        ...

    def beside(self) -> dict[str, list[str]]:
        """Return what else of ours is there, by kind, where anything is."""
        ...

    def unarmed(self) -> list[str]:
        """Return the machines whose end the cloud's own record does not show."""
        ...

    def is_read(self, call: str) -> bool:
        """Say whether a call changes nothing."""
        ...

    def end_everything(self) -> None:
        """End every machine."""
        ...

    def make_folder(self) -> str:
        """Make a bucket, or what it is called there, and return the address of a folder in it."""
        ...

    def stored(self) -> list[str]:
        """Return the names of all that lies in it."""
        ...


@cache
def deadline_in(user_data: bytes, own_ends: tuple[str, ...] = ()) -> datetime | None:
    """Return the deadline that user data arms before anything else, or notes for one of a cloud's `own_ends`; else None."""
    argv = (yaml.safe_load(user_data) or {}).get("bootcmd", [[]])[0]
    if len(argv) != 8 or not (argv[6] in own_ends or (argv[6] == "poweroff" and "shutdown -h" in argv[7])):
        return None
    return datetime.fromtimestamp(int(argv[4]), UTC)


def found(things: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return only what there is."""
    return {kind: list(names) for kind, names in things.items() if names}
