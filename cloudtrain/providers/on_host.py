"""How an adapter that rents nothing asks machines of one's own."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ..model.errors import ProviderUnavailableError
from ..model.instance import SshEndpoint


class HostAnswer(Protocol):
    """How a command on a machine of one's own ended; `exit_code` is negative for the signal that ended it."""

    @property
    def exit_code(self) -> int: ...

    @property
    def stdout(self) -> bytes: ...

    @property
    def stderr(self) -> bytes: ...


RunOnHost = Callable[[SshEndpoint, Sequence[str], bytes], HostAnswer]
"""Runs a command of the guest (its arguments, its standard input) on a machine, where the guest is put first.

Raises HostUnreachableError, HostKeyError or another RemoteError.
"""


def no_line(_endpoint: SshEndpoint, _arguments: Sequence[str], _stdin: bytes) -> HostAnswer:
    """Refuse: whoever made the adapter gave it no way to machines of one's own.

    Raises:
        ProviderUnavailableError: always.
    """
    raise ProviderUnavailableError(
        "Machines of your own cannot be asked from here", "Look from the command line: cloudtrain check"
    )
