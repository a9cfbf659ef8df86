"""How a machine is reached, and the keys it is known by: those of its config, else those of the person's known_hosts files."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...model.errors import ProviderError, ProviderUnavailableError
from ...model.instance import SshEndpoint
from ...model.spec import HostSpec

TIMEOUT_S = 10.0
"""How long the SSH client's own tools may take to read files, in seconds."""

SSH_PORT = 22


def endpoint_of(host: HostSpec) -> SshEndpoint:
    """Return how to reach a machine. Nothing is connected.

    Raises:
        ProviderUnavailableError: there is no SSH client here.
        ProviderError: no host key is known, and none is trusted on first use.
    """
    # Without OpenSSH's client nobody reads its settings: then the machine config says it all.
    is_complete = host.port is not None or shutil.which("ssh") is None
    settings = {} if host.host_keys and is_complete else _ssh_settings(host)
    port = host.port or int(_word(settings, "port") or SSH_PORT)
    return SshEndpoint(
        host=host.address,
        host_keys=host.host_keys or _known_keys(host, settings, port),
        port=port,
        user=host.user,
        proxy_command=host.proxy_command,
        options=host.options,
    )


def by_hand(host: HostSpec) -> str:
    """Return what a person types behind `ssh` to reach a machine."""
    port = "" if host.port is None else f"-p {host.port} "
    return port + (host.address if host.user is None else f"{host.user}@{host.address}")


def _ssh_settings(host: HostSpec) -> Mapping[str, Sequence[str]]:
    """Return what the SSH client would use for this machine, by the person's own settings and ours."""
    ours = [f"{name}={value}" for name, value in host.options.items()]
    ours += [f"Port={host.port}"] if host.port is not None else []
    ours += [f"User={host.user}"] if host.user is not None else []
    options = [word for option in ours for word in ("-o", option)]
    said = _ask("ssh", "-G", *options, "--", host.address)
    if not said:
        raise ProviderError(f"ssh cannot read its settings for {host.address}", f"Look why: ssh -G {host.address}")
    lines = [line.split(" ") for line in said.splitlines()]
    return {words[0].lower(): words[1:] for words in lines}


def _known_keys(host: HostSpec, settings: Mapping[str, Sequence[str]], port: int) -> tuple[str, ...]:
    name = _word(settings, "hostkeyalias")
    if not name:
        name = _word(settings, "hostname") or host.address
        name = name if port == SSH_PORT else f"[{name}]:{port}"
    files = [*settings.get("userknownhostsfile", ()), *settings.get("globalknownhostsfile", ())]
    lines = [line for file in files if file != "none" for line in _lines_for(name, Path(file).expanduser())]
    revoked = {key for marker, key in lines if marker == "@revoked"}
    # A certificate authority vouches for others' keys; it is nobody's key itself.
    keys = tuple(dict.fromkeys(key for marker, key in lines if not marker and key not in revoked))
    if not keys:
        raise ProviderError(
            f"No host key is known for {name}; nothing was sent to it",
            f"Log in once and compare the key it shows: ssh {by_hand(host)}\nOr write it into the machine config, as host_key.",
        )
    return keys


def _lines_for(name: str, file: Path) -> list[tuple[str, str]]:
    """Return (marker, key) of every line that a known_hosts file holds for a name, hashed ones too."""
    if not file.is_file():
        return []
    said = _ask("ssh-keygen", "-F", name, "-f", str(file))
    lines = (re.fullmatch(r"(?:(@\S+) )?\S+ (\S+ \S+).*", line) for line in said.splitlines() if not line.startswith("#"))
    return [(line[1] or "", line[2]) for line in lines if line]


def _ask(*argv: str) -> str:
    """Return what one of the SSH client's tools says; nothing where it finds nothing."""
    if shutil.which(argv[0]) is None:
        raise ProviderUnavailableError(
            f"There is no {argv[0]} on this computer to look up host keys with",
            "Install OpenSSH: apt install openssh-client (or dnf, brew: openssh). Or write host_key into the machine config.",
        )
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ProviderUnavailableError(f"{argv[0]} does not answer", f"Try it by hand: {' '.join(argv)}") from error
    return done.stdout.decode("utf-8", "replace")


def _word(settings: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(settings.get(name, ())), "")
