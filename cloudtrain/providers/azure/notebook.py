"""Operations of Azure's that are under way, noted here: a launch that was broken off goes on following its own."""

from contextlib import suppress
from pathlib import Path

from ...model.errors import ProviderError
from ..folders import disk_errors_told
from .account import Account
from .operation import Operation, resumed


def note_operation(name: str, operation: Operation, account: Account) -> None:
    """Note what is being done for a machine.

    Raises:
        ProviderUnavailableError: the disk does not take it.
    """
    path = _path(name, account)
    with disk_errors_told(path.parent):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(operation.token())


def noted_operation(name: str, account: Account) -> Operation | None:
    """Return what was being done for a machine, None when nothing readable is noted."""
    try:
        return resumed(account.arm, _path(name, account).read_text())
    except (OSError, ProviderError):
        return None


def forget_operation(name: str, account: Account) -> None:
    """Forget it. One that is not noted is a success."""
    with suppress(OSError):  # a stale note is read by nobody but who asks for the same machine again
        _path(name, account).unlink(missing_ok=True)


def _path(name: str, account: Account) -> Path:
    return account.folder / "operations" / name
