"""What the OpenSSH client says when it cannot go on, and what that means: one table, one door."""

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
    where = f"{endpoint.host}, port {endpoint.port}"
    if any(words in said for words in _WRONG_HOST):
        return HostKeyError(
            f"What answers at {where} has another host key than the machine that was launched; nothing was sent to it",
            "Do not go on. Look at what bills: cloudtrain status",
        )
    if any(words in said for words in _NO_ENTRY):
        key = endpoint.identity_file or "your SSH agent"
        aside = _line_with(said, _MISSING_KEY)
        return HostUnreachableError(
            f"{where} answers, but does not let us in with the key from {key}",
            aside or f"Try it by hand: ssh -v -p {endpoint.port} {_login(endpoint)}",
        )
    return HostUnreachableError(f"No line to {where}: {_last_line(said)}", "Look whether the machine runs: cloudtrain status")


def _login(endpoint: SshEndpoint) -> str:
    return endpoint.host if endpoint.user is None else f"{endpoint.user}@{endpoint.host}"


def _line_with(said: str, words: tuple[str, ...]) -> str:
    return next((line.strip()[:_LONGEST] for line in said.splitlines() if any(word in line for word in words)), "")


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:_LONGEST] if lines else "it broke"
