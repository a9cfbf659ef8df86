"""How the OpenSSH client is told whom to trust and what to leave alone."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from ..model.errors import HostKeyError, HostUnreachableError
from ..model.instance import SshEndpoint

KNOWN_HOSTS, SOCKET = "known_hosts", "s"
"""Names in the connection's own folder; short, for a socket's path may not be long."""

_HOST_KEY = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/=]+(?: [^\r\n]*)?")
OPTION = re.compile(r"[A-Za-z0-9]+")
_PINNED_LAST = ("IgnoreUnknown=*", "KnownHostsCommand=none")
"""KnownHostsCommand is younger than the oldest client we meet. Ours takes the place of a person's own IgnoreUnknown, so it
must not name less. It counts from where it stands: behind the endpoint's options, a misspelt one of those is still told."""


def host_alias(endpoint: SshEndpoint) -> str:
    """Return the name the pinned keys are filed under: what is pinned is the machine, not the address."""
    return "cloudtrain-" + hashlib.sha256("\n".join(endpoint.host_keys).encode()).hexdigest()[:16]


def known_hosts(endpoint: SshEndpoint) -> str:
    """Return a known_hosts file that knows these keys alone.

    Raises:
        HostKeyError: there is no key, or one that is none.
    """
    if not endpoint.host_keys:
        raise HostKeyError(
            f"No host key is known for {endpoint.host}; nothing was sent to it",
            "Nothing is trusted on first use. Look at the machine: cloudtrain status",
        )
    for key in endpoint.host_keys:
        if not _HOST_KEY.fullmatch(key):
            raise HostKeyError(f"The host key kept for {endpoint.host} is no public key; nothing was sent to it")
    alias = host_alias(endpoint)
    return "".join(f"{alias} {key}\n" for key in endpoint.host_keys)


def client_options(endpoint: SshEndpoint, folder: Path, timeout_s: float, batch: str) -> list[str]:
    """Return the client's options. ssh takes the first word on each, so ours stand before the endpoint's own.

    `folder` holds `known_hosts` and the control socket; `batch` is "no" only where a person may be asked a passphrase.

    Raises:
        HostUnreachableError: an option of the endpoint is no option.
    """
    pinned = _pinned(endpoint, folder, batch)
    theirs = [] if endpoint.proxy_command is None else [f"ProxyCommand={endpoint.proxy_command}"]
    theirs += [f"{name}={value}" for name, value in chosen_options(endpoint).items()]
    identity = [] if endpoint.identity_file is None else ["-i", str(endpoint.identity_file)]
    user = [] if endpoint.user is None else ["-l", endpoint.user]
    return [
        *_as_arguments(pinned),
        *identity,
        *user,
        "-p",
        str(endpoint.port),
        *_as_arguments([*theirs, *_preferred(timeout_s), *_PINNED_LAST]),
    ]


def chosen_options(endpoint: SshEndpoint) -> dict[str, str]:
    """Return the endpoint's own options that count: those that are ours to say are left out.

    Raises:
        HostUnreachableError: one is no option.
    """
    fixed = {option.partition("=")[0].lower() for option in [*_pinned(endpoint, Path(), "yes"), *_PINNED_LAST]}
    for name, value in endpoint.options.items():
        if not OPTION.fullmatch(name) or "\n" in value:
            raise HostUnreachableError(f"{name!r} is no option of the SSH client", "Correct ssh.options in the machine config.")
    return {name: value for name, value in endpoint.options.items() if name.lower() not in fixed}


def destination(endpoint: SshEndpoint) -> Sequence[str]:
    """Return the host as the client's last argument before the command; "--" keeps it from being an option."""
    return ["--", endpoint.host]


def _pinned(endpoint: SshEndpoint, folder: Path, batch: str) -> list[str]:
    place = str(folder).replace("%", "%%")
    return [
        f"HostKeyAlias={host_alias(endpoint)}",
        f'UserKnownHostsFile="{place}/{KNOWN_HOSTS}"',
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "VerifyHostKeyDNS=no",
        "NoHostAuthenticationForLocalhost=no",
        "CheckHostIP=no",
        "UpdateHostKeys=no",
        f"BatchMode={batch}",
        "PasswordAuthentication=no",
        "KbdInteractiveAuthentication=no",
        "ForwardAgent=no",
        "ForwardX11=no",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
        "Tunnel=no",
        "AddKeysToAgent=no",
        "LogLevel=ERROR",
        "ControlMaster=no",
        f'ControlPath="{place}/{SOCKET}"',
        "ControlPersist=120",
        *(["IdentitiesOnly=yes"] if endpoint.identity_file is not None else []),
    ]


def _preferred(timeout_s: float) -> list[str]:
    return [
        f"ConnectTimeout={max(1, round(timeout_s))}",
        # A line that says nothing is given up after (4 + 1) x 5 s.
        "ServerAliveInterval=5",
        "ServerAliveCountMax=4",
        "Ciphers=^aes128-gcm@openssh.com",
    ]


def _as_arguments(options: Sequence[str]) -> list[str]:
    return [argument for option in options for argument in ("-o", option)]
