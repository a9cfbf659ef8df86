"""What a cloud does for orders that are under way: how a launch that was broken off follows it on, in another process."""

from ..model.errors import LedgerError
from .file import LedgerFile


class Operations:
    """The part of the ledger that holds continuation tokens, each beside its order. Every method may raise `LedgerError`.

    A token is whatever its adapter makes of it, and no secret: it says what was asked, and where the cloud tells of it.
    """

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def note(self, token: str, continuation: str) -> None:
        """Write down what is being done for the order of that token; it takes the place of what was noted before.

        Raises:
            LedgerError: no such order was written down.
        """
        if not self._set(token, continuation):
            raise LedgerError(f"The order {token} was never written down.")

    def noted(self, token: str) -> str | None:
        """Return what is being done for an order, None when nothing is noted."""
        rows = self._file.read("SELECT operation FROM intents WHERE token = ?", token)
        return rows[0][0] if rows else None

    def forget(self, token: str) -> None:
        """Forget it. One that is not noted is a success."""
        self._set(token, None)

    def _set(self, token: str, continuation: str | None) -> bool:
        with self._file.change() as db:
            changed = db.execute("UPDATE intents SET operation = ? WHERE token = ?", (continuation, token))
            return bool(changed.rowcount)
