"""What is under way in Azure, noted here: a launch that was broken off goes on following its own, and an end is finished."""

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


def note_ending(name: str, account: Account) -> None:
    """Note that a machine's group is to be deleted: once it is gone nothing in Azure tells that its keys are left here."""
    path = _endings(account) / name
    with suppress(OSError):  # keys may stay for want of it; a machine must not
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch()


def noted_endings(account: Account) -> set[str]:
    """Return the machines of this subscription whose groups were to be deleted."""
    with suppress(OSError):  # there is no folder: none was
        return {path.name for path in _endings(account).iterdir()}
    return set()


def forget_ending(name: str, account: Account) -> None:
    """Forget it. One that is not noted is a success."""
    with suppress(OSError):  # what stays is looked at again next time
        (_endings(account) / name).unlink(missing_ok=True)


def _endings(account: Account) -> Path:
    return account.folder / "endings" / account.arm.subscription


def _path(name: str, account: Account) -> Path:
    return account.folder / "operations" / name
