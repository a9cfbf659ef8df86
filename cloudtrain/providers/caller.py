"""From where a machine may be reached: the caller's own address, or what the machine config says."""

import ipaddress
import os
import urllib.request
from urllib.error import URLError

from ..model.errors import ProviderError, ProviderUnavailableError
from ..model.spec import MachineSpec

ADDRESS_SERVICE = "https://checkip.amazonaws.com"
SERVICE_VARIABLE = "CLOUDTRAIN_ADDRESS_SERVICE"
TIMEOUT_S = 10.0
MOST_BYTES = 200

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def allowed_from(machine: MachineSpec | None) -> tuple[Network, ...]:
    """Return who may reach the SSH port: the config's `ssh.allow_from`, else the address this computer is seen with.

    Raises:
        ProviderError: everybody is allowed, or what is written is no block of addresses.
        ProviderUnavailableError: the own address cannot be found out.
    """
    written = machine.ssh.allow_from if machine is not None else ()
    return tuple(_block(text) for text in written) if written else (_own_address(),)


def _block(text: str) -> Network:
    try:
        block = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise ProviderError(f"ssh.allow_from: {text!r} is no block of addresses", "Write one: 203.0.113.7/32") from error
    return _narrow(block)


def _own_address() -> Network:
    service = os.environ.get(SERVICE_VARIABLE) or ADDRESS_SERVICE
    hint = "Write it into the machine config: ssh: {allow_from: [YOUR.OWN.ADDRESS/32]}"
    try:
        if not service.startswith(("https://", "http://")):
            raise ValueError(f"{SERVICE_VARIABLE} is no web address")
        with urllib.request.urlopen(service, timeout=TIMEOUT_S) as answer:  # noqa: S310  # only the two schemes above
            address = ipaddress.ip_address(answer.read(MOST_BYTES).decode("ascii").strip())
    except (URLError, OSError, ValueError) as error:
        raise ProviderUnavailableError(f"This computer's public address cannot be found out: {error}", hint) from error
    return _narrow(ipaddress.ip_network(address))


def _narrow(block: Network) -> Network:
    if block.prefixlen == 0:
        raise ProviderError(
            f"ssh.allow_from: {block} is everybody, and a machine is not opened to everybody",
            "Leave it out: the machine is then opened to your own address alone.",
        )
    return block
