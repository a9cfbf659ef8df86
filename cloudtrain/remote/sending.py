"""What a push asks of the machine: which files it has, and then to take those that it has not."""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from ..model.errors import TransferError
from .counting import Counting
from .entry_there import Entry, RefusedError, describe, shown
from .fileset import FileSet
from .frames_there import BATCH, CHECK, DIGEST, SEAL, TOUCH, Frame
from .leaving_there import digest_of, read_steadily, read_unchanged
from .manifest_there import HAVE, SAME_SECOND, TOUCH_ONLY, blocks, pack_block, unpack_block, unpack_columns
from .packed import PackedBlock
from .part_there import LARGE
from .turns import Turns
from .upload import Upload
from .work import Item, Work

Question = tuple[int, object, bytes]
Columns = tuple[list[str], list[int], list[int], list[int]]
Small = tuple[str, int, int]
"""A small file's name, size and time as they were listed."""

FRESH_S = 10.0
"""How long what was seen when the files were chosen is sent as it is, seconds; later each is looked at once more."""

_BATCH_BYTES = 1 << 20
_BATCH_FILES = 1000
_MOST_NAMED = 5


class Push:
    """Brings one file set below one folder of the machine; `work` is begun with its questions."""

    def __init__(self, files: FileSet, counting: Counting, work: Work) -> None:
        self.root = str(files.root)
        self.counting = counting
        self.work = work
        self.reading = Turns()
        self._files = files
        self._problems: dict[str, str] = {}
        self._is_changing = False
        self._checked, self._wanted = 0, 0.0
        self._checking = threading.Lock()
        work.begin(self._checks())

    def seals(self, kind: str) -> Iterator[Item]:
        """Hand out what comes last, unless nothing has changed there: each "link", and when all are made, each "folder"."""
        others = [part for part in self._files.entries.blocks if part.has_others] if self._is_changing else []
        for _, block in blocks(self._described(others, kind)):
            yield Told(SEAL, None, block)

    def raise_problems(self) -> None:
        """Raise TransferError naming what could not be sent, if there was something."""
        if self._problems:
            named = [f"{shown(name)} {why}" for name, why in sorted(self._problems.items())]
            more = f", and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
            raise TransferError(
                f"Not everything was sent: {'; '.join(named[:_MOST_NAMED])}{more}",
                "Let it rest, then try again: what has arrived is kept.",
            )

    def leave(self, name: str, why: str) -> None:
        """Note that a file stays behind."""
        self._problems[name] = why

    def expand(self, block: bytes, states: bytes, claims: dict[str, list[list[int]]]) -> Iterator[Item]:
        """Hand out what a block's answer asks for."""
        columns = unpack_columns(block)
        names, kinds, sizes, _, mtimes, _ = columns
        wanted = [index for index, state in enumerate(states) if state != HAVE and kinds[index] == "f"]
        self.counting.add(sum(sizes) - sum([sizes[index] for index in wanted]))
        batch: list[Small] = []
        weight = 0
        for index in wanted:
            state, size = states[index], sizes[index]
            if state == TOUCH_ONLY:
                yield Touch(self, columns.entry(index))
            elif state == SAME_SECOND:
                yield Compare(self, columns.entry(index))
            elif size > LARGE:
                yield from Upload(self, columns.entry(index), claims.get(str(index), [])).items()
            else:
                batch.append((names[index], size, mtimes[index]))
                weight += size
                if weight >= _BATCH_BYTES or len(batch) >= _BATCH_FILES:
                    yield Batch(self, batch, weight)
                    batch, weight = [], 0
        if batch:
            yield Batch(self, batch, weight)

    def send(self, entry: Entry, tries: int = 1) -> Iterator[Item]:
        """Hand out what sends one file, whatever is there; `tries` counts how often it was begun."""
        if entry.size > LARGE:
            yield from Upload(self, entry, [], tries).items()
        else:
            yield Batch(self, [(entry.name, entry.size, entry.mtime_ns)], entry.size)

    def note_check(self, size: int, wanted: float) -> None:
        """Note that of so many bytes this share is wanted there."""
        with self._checking:
            self._checked += size
            self._wanted += size * wanted
            self._is_changing = self._is_changing or wanted > 0

    def left(self, is_vacant: bool) -> float:
        """Return how many bytes are still to travel, about: of what was not asked for yet, as much as of the rest.

        Before anything was asked all of it is, if nothing stands there; else nothing: a login that nobody then needs would
        take the cores from those who look.
        """
        have = self._checked - self._wanted
        known = max(0.0, self._wanted - max(0.0, self.counting.done - have))
        unchecked = max(0, self.counting.total - self._checked)
        return known + unchecked * (self._wanted / self._checked if self._checked else float(is_vacant))

    def _checks(self) -> Iterator[Item]:
        yield Check(self, pack_block([]), 0, 0)  # so that there is a folder even for nothing
        entries = self._files.entries
        if time.monotonic() - entries.seen_at <= FRESH_S:
            for seen in entries.blocks:
                yield Check(self, seen.content, seen.length, seen.size)
        else:
            for lot, block in blocks(self._described(entries.blocks)):
                yield Check(self, block, len(lot), sum(entry.size for entry in lot))

    def _described(self, parts: Iterable[PackedBlock], kind: str = "") -> Iterator[Entry]:
        """Hand out the entries (of one kind, or all) as they stand on the disk now."""
        for counted in chain.from_iterable(unpack_block(part.content) for part in parts):
            if kind and counted.kind != kind:
                continue
            try:
                entry = describe(self.root, counted.name)
            except RefusedError as error:
                self.leave(counted.name, f"does not travel: {error}")
                continue
            except OSError as error:
                self.leave(counted.name, f"cannot be read: {error.strerror}")
                continue
            if entry is None or entry.kind != counted.kind:
                self.leave(counted.name, f"is no longer the {counted.kind} it was")
            else:
                yield entry


@dataclass(slots=True)
class Told:
    """Something the machine is told, and only says that it is done."""

    kind: int
    words: object
    body: bytes = b""
    weight: int = 0

    def ask(self) -> Question:
        """Return it."""
        return self.kind, self.words, self.body

    def answer(self, _: Frame) -> bool:
        """Take the receipt."""
        return True


@dataclass(slots=True)
class Check:
    """Asks what is there already of a block of `count` entries, `size` bytes in all."""

    push: Push
    block: bytes
    count: int
    size: int
    weight: int = 0

    def ask(self) -> Question:
        """Return the block."""
        return CHECK, None, self.block

    def answer(self, frame: Frame) -> bool:
        """Add what is asked for to the work."""
        if len(frame.body) != self.count:
            raise RefusedError("the machine answers what nobody asked")
        wanted = self.count - frame.body.count(HAVE)
        self.push.note_check(self.size, wanted / self.count if wanted else 0.0)
        if not wanted:
            self.push.counting.add(self.size)
            return True
        self.push.work.add(self.push.expand(self.block, frame.body, frame.words))
        return True


@dataclass(slots=True)
class Batch:
    """Sends small files, several at once, each as it stands when it is read."""

    push: Push
    files: Sequence[Small]
    weight: int
    large: list[Entry] = field(default_factory=list)

    def ask(self) -> Question | None:
        """Read the files; those that changed are read again, those that never rest stay behind."""
        self.large = []
        contents: list[bytes] = []
        names, sizes, modes, mtimes = now = _no_columns()
        with self.push.reading.taken():
            for name, size, mtime_ns in self.files:
                found = self._read(name, size, mtime_ns)
                if found is None:
                    continue
                info, content = found
                contents.append(content)
                names.append(name)
                sizes.append(len(content))
                modes.append(info.st_mode & 0o777)
                mtimes.append(info.st_mtime_ns)
        if not contents:
            self._count()
            return None
        return BATCH, now, b"".join(contents)

    def answer(self, _: Frame) -> bool:
        """Count them."""
        self._count()
        return True

    def _count(self) -> None:
        for entry in self.large:  # they were small when they were counted
            self.push.work.add(self.push.send(entry))
        self.push.counting.add(self.weight - sum(min(entry.size, LARGE) for entry in self.large))

    def _read(self, name: str, size: int, mtime_ns: int) -> tuple[os.stat_result, bytes] | None:
        """Return a file as it is now; None for one that stays behind, and for one that is large by now."""
        try:
            found = read_unchanged(self.push.root, name, size, mtime_ns)
            if found is not None:
                return found
            found = read_steadily(self.push.root, name, LARGE, _is_same)
        except OSError as error:
            self.push.leave(name, f"cannot be read: {error.strerror or error}")
            return None
        if found is None:
            self.push.leave(name, "changed while it was read")
        elif found[0].st_size > LARGE:
            info = found[0]
            self.large.append(Entry(name, "file", info.st_size, info.st_mode & 0o777, info.st_mtime_ns))
            return None
        return found


@dataclass(slots=True)
class Touch:
    """Corrects mode and time where the content is right."""

    push: Push
    entry: Entry
    weight: int = 0

    def ask(self) -> Question:
        """Return the file's new mode and time."""
        entry = self.entry
        return TOUCH, ([entry.name], [entry.size], [entry.mode], [entry.mtime_ns]), b""

    def answer(self, _: Frame) -> bool:
        """Count it."""
        self.push.counting.add(self.entry.size)
        return True


@dataclass(slots=True)
class Compare:
    """Compares contents where the times agree to the second alone: many tools and disks cut off the rest."""

    push: Push
    entry: Entry
    weight: int = 0

    def ask(self) -> Question:
        """Ask for the content's digest there."""
        return DIGEST, self.entry.name, b""

    def answer(self, frame: Frame) -> bool:
        """Correct the time where the content is the same, and send the file where it is not."""
        is_same = frame.words and frame.words == digest_of(self.push.root, self.entry.name)
        self.push.work.add(iter([Touch(self.push, self.entry)]) if is_same else self.push.send(self.entry))
        return True


def _no_columns() -> Columns:
    return [], [], [], []


def _is_same(before: os.stat_result, after: os.stat_result) -> bool:
    return before.st_mtime_ns == after.st_mtime_ns and before.st_size == after.st_size
