"""Waking a sleeping machine over the network."""

import socket

from ...model.errors import ProviderUnavailableError
from ...model.spec import Wake


def send_wake_packet(wake: Wake) -> None:
    """Send the packet that a sleeping network card listens for: six times 255, then its address sixteen times.

    Raises:
        ProviderUnavailableError: this computer cannot send there.
    """
    packet = b"\xff" * 6 + bytes.fromhex(wake.mac.replace(":", "")) * 16
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.sendto(packet, (wake.broadcast, wake.port))
    except OSError as error:
        raise ProviderUnavailableError(
            f"The packet that wakes {wake.mac} cannot be sent to {wake.broadcast}: {error.strerror or error}",
            "Correct wake.broadcast in the machine config: it is your network's own broadcast address.",
        ) from error
