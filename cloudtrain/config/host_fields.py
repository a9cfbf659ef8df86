"""What a value that describes a machine of one's own may be: each kind with the check that reads it and its name in words."""

import base64
import binascii
import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import BeforeValidator

from .fields import Kind, line_of_text, refuse, word
from .wording import found

_ADDRESS = re.compile(
    r"(?:(?P<user>[A-Za-z_][A-Za-z0-9._-]{0,63})@)?"
    r"(?:\[(?P<boxed>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?)\]|(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]{0,252}))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_MAC = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}")


def address_parts(text: str) -> tuple[str | None, str, int | None]:
    """Return the user, the host and the port that an address names; None for what it leaves open."""
    if parts := _ADDRESS.fullmatch(text):
        return parts["user"], parts["boxed"] or parts["name"], int(parts["port"]) if parts["port"] else None
    user, _, host = text.rpartition("@")
    return user or None, host, None


def host_address(value: object) -> str:
    """Return `HOST`, `USER@HOST` or `HOST:PORT`; one that begins with a dash would be an option to ssh."""
    text = word(value)
    hint = "Write a host name or an IP address: `gpu1.lab.example`, `me@gpu1.lab.example:2222`, `[2001:db8::7]:22`."
    parts = _ADDRESS.fullmatch(text)
    if parts is not None and int(parts["port"] or 1) <= 65535 and (parts["boxed"] is None or _is_ip(parts["boxed"])):
        return text
    user, _, host = text.rpartition("@")
    if ":" in host and _is_ip(host) and (not user or re.fullmatch(r"[A-Za-z_][A-Za-z0-9._-]{0,63}", user)):
        return text
    raise refuse(f"expected the address of a machine, found {found(text)}", hint)


def public_key(value: object) -> str:
    """Return a public host key, its type and its body, without the comment."""
    text = line_of_text(value)
    words = text.split()
    hint = "Copy a line from the machine: `cat /etc/ssh/ssh_host_ed25519_key.pub`."
    if len(words) < 2 or not _is_key(words[0], words[1]):
        raise refuse(f"expected a public host key, found {found(text)}", hint)
    return f"{words[0]} {words[1]}"


def mac_address(value: object) -> str:
    """Return a network card's address in lower case, colons between."""
    text = word(value).lower()
    if not _MAC.fullmatch(text):
        raise refuse(f"expected a hardware address, found {found(value)}", 'Write it in quotes: `"aa:bb:cc:dd:ee:ff"`.')
    return text.replace("-", ":")


def internet_address(value: object) -> str:
    """Return an IPv4 address."""
    text = word(value)
    if not _is_ip(text) or ":" in text:
        raise refuse(f"expected an IPv4 address, found {found(text)}", "Write it in numbers: `192.168.1.255`.")
    return text


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_key(algorithm: str, body: str) -> bool:
    """Say whether a key's body is whole: pieces, each behind its length in four bytes, the first of which is the algorithm."""
    try:
        left = base64.b64decode(body, validate=True)
    except binascii.Error:
        return False
    pieces = []
    while len(left) >= 4 and len(left) - 4 >= (size := int.from_bytes(left[:4], "big")):
        pieces.append(left[4 : 4 + size])
        left = left[4 + size :]
    return not left and len(pieces) > 1 and pieces[0] == algorithm.encode()


HostAddress = Annotated[str, BeforeValidator(host_address), Kind("address")]
PublicKey = Annotated[str, BeforeValidator(public_key), Kind("public key")]
MacAddress = Annotated[str, BeforeValidator(mac_address), Kind("hardware address")]
IpAddress = Annotated[str, BeforeValidator(internet_address), Kind("IP address")]
