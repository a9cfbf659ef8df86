"""Where an adapter keeps the continuation tokens of what its cloud accepted and has not finished."""

from typing import Protocol


class Operations(Protocol):
    """Holds one continuation token for each order; the ledger's outlives the process. A token is no secret.

    Any method may raise `LedgerError`, which leaves the adapter as it is. Called from the thread that called `launch`.
    """

    def note(self, token: str, continuation: str) -> None:
        """Write down what is being done for the order of that token."""
        ...

    def noted(self, token: str) -> str | None:
        """Return what is being done for an order, None when nothing is noted."""
        ...

    def forget(self, token: str) -> None:
        """Forget it. One that is not noted is a success."""
        ...


class InThisProcess:
    """Operations that nobody can follow on once this process ends."""

    def __init__(self) -> None:
        self._noted: dict[str, str] = {}

    def note(self, token: str, continuation: str) -> None:
        """See `Operations.note`."""
        self._noted[token] = continuation

    def noted(self, token: str) -> str | None:
        """See `Operations.noted`."""
        return self._noted.get(token)

    def forget(self, token: str) -> None:
        """See `Operations.forget`."""
        self._noted.pop(token, None)
