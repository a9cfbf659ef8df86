"""What is under way in Azure, noted here: an end that was asked for is finished by whoever looks next."""

from contextlib import suppress
from pathlib import Path

from .account import Account


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
