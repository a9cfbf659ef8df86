"""What goes wrong between us and an SSH server, and what OpenSSH's client says of it: one table, one door."""

from ..model.errors import HostKeyError, HostUnreachableError, RemoteError
from ..model.instance import SshEndpoint

_WRONG_HOST = (
    "Host key verification failed",
    "HOST IDENTIFICATION HAS CHANGED",
    "host key is known for",
    "no matching host key type found",
)
_NO_ENTRY = ("Permission denied", "Too many authentication failures", "No supported authentication methods")
_MISSING_KEY = ("not accessible", "Load key", "UNPROTECTED PRIVATE KEY FILE")
_LONGEST = 300


def translate(said: str, endpoint: SshEndpoint) -> RemoteError:
    """Return the error for a client that gave up with these words."""
    if any(words in said for words in _WRONG_HOST):
        return wrong_host(endpoint)
    if any(words in said for words in _NO_ENTRY):
        by_hand = f"Try it by hand: ssh -v -p {endpoint.port} {_login(endpoint)}"
        return not_let_in(endpoint, _line_with(said, _MISSING_KEY) or by_hand)
    return no_line(endpoint, said)


def wrong_host(endpoint: SshEndpoint) -> HostKeyError:
    """Return the error for a machine whose key is none of those that were pinned."""
    return HostKeyError(
        f"What answers at {_where(endpoint)} has another host key than the machine that was launched; nothing was sent to it",
        "Do not go on. Look at what bills: cloudtrain status",
    )


def not_let_in(endpoint: SshEndpoint, hint: str) -> HostUnreachableError:
    """Return the error for a machine that takes none of our keys."""
    key = endpoint.identity_file or "your SSH agent"
    return HostUnreachableError(f"{_where(endpoint)} answers, but does not let us in with the key from {key}", hint)


def no_line(endpoint: SshEndpoint, said: str) -> HostUnreachableError:
    """Return the error for a machine that nobody reaches; the last line that was said tells why."""
    return HostUnreachableError(
        f"No line to {_where(endpoint)}: {_last_line(said)}", "Look whether the machine runs: cloudtrain status"
    )


def port_taken(endpoint: SshEndpoint, here: int, there: int) -> HostUnreachableError:
    """Return the error for a port of this computer that cannot be had."""
    return HostUnreachableError(
        f"Port {here} here cannot lead to port {there} of {endpoint.host}",
        f"Take another number here: cloudtrain forward NAME {(here + 1) % 65536}:{there}",
    )


def _where(endpoint: SshEndpoint) -> str:
    return f"{endpoint.host}, port {endpoint.port}"


def _login(endpoint: SshEndpoint) -> str:
    return endpoint.host if endpoint.user is None else f"{endpoint.user}@{endpoint.host}"


def _line_with(said: str, words: tuple[str, ...]) -> str:
    return next((line.strip()[:_LONGEST] for line in said.splitlines() if any(word in line for word in words)), "")


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:_LONGEST] if lines else "it broke"
