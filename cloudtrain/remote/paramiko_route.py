"""What an endpoint means to paramiko: where to call, as whom, with which keys. What it cannot keep is refused."""

import getpass
import re
from dataclasses import dataclass
from pathlib import Path

from ..model.errors import HostUnreachableError
from ..model.instance import SshEndpoint
from .ssh_options import chosen_options

_KEPT = frozenset({"hostname", "identityfile", "proxycommand", "connecttimeout"})
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_INSTALL = "Install OpenSSH, which can: apt install openssh-client (or dnf, brew: openssh)"


@dataclass(frozen=True, slots=True)
class Route:
    """How to get in.

    Attributes:
        keys: private key files, in the order in which they are tried.
        is_named: these keys alone were asked for: of the agent's, only those whose public half stands beside one of them count.
        proxy_command: what the shell runs to get there, complete; "" to call directly.
        timeout_s: how long each step may take, seconds.
    """

    host: str
    port: int
    user: str
    keys: tuple[Path, ...]
    is_named: bool
    proxy_command: str
    timeout_s: float


def route_to(endpoint: SshEndpoint, timeout_s: float) -> Route:
    """Return the way to an endpoint. A person's `~/.ssh/config` is not read: half of it would be worse than nothing.

    Raises:
        HostUnreachableError: it asks for something that only OpenSSH can do.
    """
    options = {name.lower(): value for name, value in chosen_options(endpoint).items()}
    for name in sorted(options.keys() - _KEPT):
        raise HostUnreachableError(f"{endpoint.host} is reached with the option {name}, which is OpenSSH's", _INSTALL)
    host = options.get("hostname", endpoint.host)
    user = endpoint.user or getpass.getuser()
    named = endpoint.identity_file or options.get("identityfile")
    keys = [Path(named)] if named else [Path("~/.ssh") / name for name in _DEFAULT_KEYS]
    command = endpoint.proxy_command or options.get("proxycommand", "")
    return Route(
        host=host,
        port=endpoint.port,
        user=user,
        keys=tuple(path.expanduser() for path in keys),
        is_named=bool(named),
        proxy_command=""
        if command == "none"
        else _expanded(command, {"h": host, "p": str(endpoint.port), "r": user, "%": "%"}),
        timeout_s=_seconds(options.get("connecttimeout"), timeout_s),
    )


def _expanded(command: str, words: dict[str, str]) -> str:
    def word(found: re.Match[str]) -> str:
        letter = found[1]
        if letter not in words and letter != "%":
            raise HostUnreachableError(f"%{letter} in the proxy command {command!r} is OpenSSH's", _INSTALL)
        return words.get(letter, "%")

    return re.sub("%(.?)", word, command)


def _seconds(text: str | None, otherwise: float) -> float:
    if text is None:
        return otherwise
    try:
        return max(1.0, float(text))
    except ValueError as error:
        raise HostUnreachableError(f"ConnectTimeout is {text!r}, no number of seconds", "Correct ssh.options.") from error
