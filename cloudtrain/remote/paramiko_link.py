"""One SSH connection by paramiko: made, vouched for by the pinned key, let in with ours, and given up when it falls silent."""

import contextlib
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko

from ..model.instance import SshEndpoint
from .paramiko_route import Route, route_to
from .ssh_errors import no_line, not_let_in, wrong_host
from .ssh_options import known_hosts

ASK_EVERY_S = 5.0
"""How often the other end is asked for a sign of life, in seconds."""

PATIENCE_S = 25.0
"""How long nothing at all may come from it, in seconds."""

_WINDOW = 16 << 20
_FASTEST = "aes128-gcm@openssh.com"
_RSA = ("rsa-sha2-512", "rsa-sha2-256")

# Without a handler, Python itself prints the library's warnings into a person's terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Link:
    """A connection that stands until it is closed, breaks, or falls silent."""

    def __init__(self, transport: Any, line: "HeardSocket", patience_s: float) -> None:
        self.transport = transport
        self._line = line
        self._patience_s = patience_s
        self._over = threading.Event()
        self._fell_silent = False
        for work in (self._ask, self._judge):
            threading.Thread(target=work, daemon=True).start()

    def is_alive(self) -> bool:
        """Say whether it stands."""
        return bool(self.transport.is_active())

    def last_words(self) -> str:
        """Return why it stands no more."""
        if self._fell_silent:
            return f"it has said nothing for {self._patience_s:g} s"
        return str(self.transport.get_exception() or "the connection was closed")

    def close(self) -> None:
        """Let it go. Safe to call twice."""
        self._over.set()
        self.transport.close()
        self._line.close()

    def _ask(self) -> None:
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):  # it is over; whoever uses it learns why
            while not self._over.wait(min(ASK_EVERY_S, self._patience_s / 5)):
                # No server knows this request, and each one must say so.
                self.transport.global_request("keepalive@openssh.com", wait=True)

    def _judge(self) -> None:
        while not self._over.wait(self._patience_s / 25):
            if time.monotonic() - self._line.heard_at > self._patience_s:
                self._fell_silent = True
                self.transport.close()
                return


class HeardSocket:
    """A socket that knows when something last came. The proxy command behind it, if there is one, ends with it."""

    def __init__(self, line: socket.socket, proxy: "subprocess.Popen[bytes] | None" = None) -> None:
        self.heard_at = time.monotonic()
        self._line = line
        self._proxy = proxy

    def recv(self, count: int) -> bytes:
        """Receive, and note when."""
        content = self._line.recv(count)
        self.heard_at = time.monotonic()
        return content

    def close(self) -> None:
        """Close the socket, and end who carries it."""
        self._line.close()
        if self._proxy is not None:
            self._proxy.kill()
            self._proxy.wait()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)


def log_in(endpoint: SshEndpoint, timeout_s: float, patience_s: float = PATIENCE_S) -> Link:
    """Open a connection. Nothing is sent before the other end has proven to have a pinned key.

    Raises:
        HostKeyError: it has another one, or none is pinned.
        HostUnreachableError: nobody answers, or we are not let in.
    """
    known_hosts(endpoint)  # refuses an endpoint without a sound key
    route = route_to(endpoint, timeout_s)
    try:
        line = _call(route)
    except OSError as error:
        raise no_line(endpoint, error.strerror or str(error)) from error
    try:
        transport = paramiko.Transport(line, default_window_size=_WINDOW)
        try:
            _shake_hands(transport, endpoint, route)
            _authenticate(transport, endpoint, route)
        except BaseException:
            transport.close()
            raise
    except (paramiko.SSHException, EOFError, OSError) as error:
        line.close()
        raise no_line(endpoint, str(error) or "the connection was closed") from error
    except BaseException:
        line.close()
        raise
    return Link(transport, line, patience_s)


def _call(route: Route) -> HeardSocket:
    if not route.proxy_command:
        line = socket.create_connection((route.host, route.port), route.timeout_s)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return HeardSocket(line)
    ours, theirs = socket.socketpair()
    command = ["/bin/sh", "-c", f"exec {route.proxy_command}"]
    with theirs:
        end = theirs.fileno()
        proxy = subprocess.Popen(command, stdin=end, stdout=end, stderr=subprocess.DEVNULL, start_new_session=True)
    return HeardSocket(ours, proxy)


def _shake_hands(transport: Any, endpoint: SshEndpoint, route: Route) -> None:
    pinned = {(kind, key) for kind, key, *_ in (line.split() for line in endpoint.host_keys)}
    kinds = [name for kind, _ in sorted(pinned) for name in (_RSA if kind == "ssh-rsa" else (kind,))]
    options = transport.get_security_options()
    options.key_types = tuple(kind for kind in dict.fromkeys(kinds) if kind in options.key_types)
    options.ciphers = tuple(sorted(options.ciphers, key=lambda name: name != _FASTEST))
    if not options.key_types:
        raise wrong_host(endpoint)
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = route.timeout_s
    try:
        transport.start_client(timeout=3 * route.timeout_s)
        key = transport.get_remote_server_key()
    except paramiko.ssh_exception.IncompatiblePeer as error:
        if "host key" in str(error):
            raise wrong_host(endpoint) from error
        raise
    if (key.get_name(), key.get_base64()) not in pinned:
        raise wrong_host(endpoint)


def _authenticate(transport: Any, endpoint: SshEndpoint, route: Route) -> None:
    asides: list[str] = []
    agent = paramiko.Agent()
    try:
        for key in _keys(route, agent, asides):
            try:
                if not transport.auth_publickey(route.user, key):
                    return
            except paramiko.AuthenticationException:
                if not transport.is_active():
                    asides.append("It hung up after several keys. Name the right one: IdentityFile in ssh.options")
                    break
    except paramiko.SSHException as error:  # it has heard enough of us
        asides.append(str(error))
    finally:
        agent.close()
    raise not_let_in(endpoint, asides[-1] if asides else f"Let it know the key: ssh-copy-id, or {route.keys[0]}.pub by hand")


def _keys(route: Route, agent: Any, asides: list[str]) -> Iterator[Any]:
    """Hand out the keys to try: the agent's, then those in files. What keeps one from being used is added to `asides`."""
    wanted = {words[1] for path in route.keys if (words := _public_half(path))}
    yield from (key for key in agent.get_keys() if not route.is_named or key.get_base64() in wanted)
    for path in route.keys:
        if not route.is_named and not path.exists():
            continue
        try:
            yield paramiko.PKey.from_path(path)
        except (TypeError, paramiko.PasswordRequiredException):
            asides.append(f"The key {path} has a passphrase. Let your agent hold it: ssh-add {path}")
        except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
            asides.append(f"The key {path} cannot be used: {error}")


def _public_half(path: Path) -> list[str]:
    with contextlib.suppress(OSError, UnicodeDecodeError):  # without it, no key of the agent's can be told to be this one
        words = path.with_name(f"{path.name}.pub").read_text().split()
        return words if len(words) > 1 else []
    return []
