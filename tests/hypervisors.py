"""A hypervisor for the tests of what a cloud does: it boots nothing, and knows what it was asked to boot."""

from cloudtrain.testing.playground.machine import Booted, MachineOrder


class BootsNothing:
    """Every machine runs at once and has an address; nobody answers there.

    A pretend cloud boots by itself, a moment after somebody has seen the machine: let it `settle` before `orders` is read.
    """

    def __init__(self) -> None:
        self.orders: list[MachineOrder] = []

    def boot(self, order: MachineOrder) -> Booted:
        """Note what would be booted, oldest first."""
        self.orders.append(order)
        return Booted(f"127.0.1.{(len(self.orders) - 1) % 250 + 1}")

    def reboot(self, id: str, order: MachineOrder | None = None) -> None:
        """Note what has changed."""
        self.orders += [order] if order is not None else []

    def switch_off(self, id: str) -> None:
        """Do nothing."""

    destroy = switch_off

    def set_metadata(self, id: str, path: str, text: str | None) -> None:
        """Do nothing."""

    def guest_attributes(self, id: str) -> dict[str, str]:
        """Return nothing: nobody has written anything."""
        return {}

    def advance(self, seconds: float) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
