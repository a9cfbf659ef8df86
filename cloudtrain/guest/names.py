"""Names of files that others chose: none of them may lead out of the folder it is to be in."""

from __future__ import annotations

from typing import Iterator, Sequence

from .errors import GuestError


def refuse_names(names: Sequence[str]) -> None:
    """Refuse names that lead out of the folder, come twice, or make a folder of what is a file.

    Raises:
        GuestError: there is such a name.
    """
    known = set(names)
    if len(known) < len(names):
        raise GuestError("two of the files have one name")
    for name in names:
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise GuestError(f"{name!r} is no name of a file inside a folder")
        inside = next((above for above in _above(parts) if above in known), None)
        if inside is not None:
            raise GuestError(f"{inside!r} is a file and cannot be the folder of {name!r}")


def _above(parts: Sequence[str]) -> Iterator[str]:
    for end in range(1, len(parts)):
        yield "/".join(parts[:end])
