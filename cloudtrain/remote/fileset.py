"""Which files travel: chosen, counted and weighed before anything moves."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file, folder or link.

    Attributes:
        name: relative to the set's root, with forward slashes.
        size: bytes; 0 for folders and links.
        kind: "file", "folder" (only empty folders and chosen ones need naming) or "link".
    """

    name: str
    size: int = 0
    kind: str = "file"


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files below one root, sorted by name."""

    root: Path
    entries: tuple[FileEntry, ...]

    @property
    def total_bytes(self) -> int:
        """Return the sum of the files' sizes, bytes."""
        return sum(entry.size for entry in self.entries)
