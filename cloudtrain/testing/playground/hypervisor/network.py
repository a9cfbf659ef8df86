"""Addresses for machines with namespaces: a network of our own, reachable from this computer alone."""

import contextlib
import itertools
import json
import socket
import subprocess
import threading
from typing import Any

_NETWORK = "10.213"
_NETWORKS = range(1, 255)
_HOSTS = range(2, 255)


class Network:
    """One of 254 small networks, claimed for as long as this process lives. This computer is `.1` in it for every machine."""

    def __init__(self) -> None:
        """Claim a network, and remove what owners who were killed have left in theirs.

        Raises:
            RuntimeError: 254 hypervisors run here.
        """
        self._claim, self._number = _claim()
        self._hosts = itertools.cycle(_HOSTS)
        self._used: set[str] = set()
        self._lock = threading.Lock()
        self._links = itertools.count(1)
        _sweep(self._number)
        # An address whose machine is off is nowhere, and not somewhere behind this computer's default route.
        _ip("route", "add", "unreachable", _route(self._number))

    @property
    def gateway(self) -> str:
        """This computer's address, as every machine sees it."""
        return f"{_NETWORK}.{self._number}.1"

    def take_address(self) -> str:
        """Return an address that no machine has; one that was given back comes again late.

        Raises:
            RuntimeError: 253 machines run.
        """
        with self._lock:
            for host in itertools.islice(self._hosts, len(_HOSTS)):
                address = f"{_NETWORK}.{self._number}.{host}"
                if address not in self._used:
                    self._used.add(address)
                    return address
        raise RuntimeError("there are no more addresses for machines")

    def give_back(self, address: str) -> None:
        """Let another machine have an address."""
        with self._lock:
            self._used.discard(address)

    def plug_in(self, address: str, pid: int) -> str:
        """Lay a link from here to the network namespace of a process, where it is `eth0`; return its name here."""
        link = f"ct{self._number}-{next(self._links)}"
        lines = [
            f"link add {link} type veth peer name eth0 netns {pid}",
            f"addr add {self.gateway}/32 peer {address}/32 dev {link}",
            f"link set {link} up",
        ]
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines).encode(), check=True, capture_output=True)
        return link

    def unplug(self, link: str) -> None:
        """Take a link away. It may have gone with its machine."""
        _ip("link", "del", link)

    def close(self) -> None:
        """Let another hypervisor have the network."""
        _ip("route", "del", "unreachable", _route(self._number))
        self._claim.close()


def _claim() -> tuple[socket.socket, int]:
    claim = socket.socket(socket.AF_UNIX)
    for number in _NETWORKS:
        # A name that has no file: it is free again when its owner is gone, however it went.
        with contextlib.suppress(OSError):
            claim.bind(_name(number))
            return claim, number
    claim.close()
    raise RuntimeError("there are no more networks for hypervisors")


def _sweep(number: int) -> None:
    """Remove links and routes of our own number, and of those that nobody claims any more."""
    links = {link.get("ifname", ""): link for link in _ask("link", "show", "type", "veth")}
    routes = {route["dst"] for route in _ask("route", "show", "type", "unreachable")}
    for other in _NETWORKS:
        mine = [name for name in links if name.startswith(f"ct{other}-")]
        if (mine or _route(other) in routes) and (other == number or _is_free(other)):
            for link in mine:
                _ip("link", "del", link)
            _ip("route", "del", "unreachable", _route(other))


def _is_free(number: int) -> bool:
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.bind(_name(number))
        except OSError:
            return False
    return True


def _name(number: int) -> str:
    return f"\0cloudtrain-playground-{_NETWORK}.{number}"


def _route(number: int) -> str:
    return f"{_NETWORK}.{number}.0/24"


def _ask(*words: str) -> list[dict[str, Any]]:
    said = _ip("-json", *words).stdout.strip()
    answer: list[dict[str, Any]] = json.loads(said) if said else []
    return answer


def _ip(*words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["ip", *words], capture_output=True)
