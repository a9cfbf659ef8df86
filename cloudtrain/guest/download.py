"""Files from an HTTP server: several at once, each from where it broke off, in place only when it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable, Sequence

from .errors import GuestError
from .line import Answer, BrokenLineError
from .names import refuse_names

THREADS = 8
TRIES = 6
"""How often a file that does not come on is asked for, with pauses of 1, 2, 4, 8 and 16 seconds."""

MTIME_HEADER = "x-amz-meta-mtime"
"""The header that holds a file's own modification time, Unix seconds, where whoever stored it wrote that down."""

_MTIME_HEADERS = (MTIME_HEADER, "x-ms-meta-mtime", "x-goog-meta-mtime")

_CHUNK_BYTES = 1 << 20
_TELL_EVERY_S = 0.5
_SPARE_BYTES = 64 << 20  # a disk that is filled to its last byte helps nobody
_MD5 = re.compile(r"[0-9a-f]{32}")
_RANGE = re.compile(r"bytes (\d+)-")

Tell = Callable[[int, int], Any]
"""Hears (bytes there, bytes in all)."""


@dataclass(frozen=True)
class Wanted:
    """One file: its name below the folder it comes to, its bytes, and the storage's mark of its content, or ""."""

    name: str
    size: int
    etag: str = ""


Open = Callable[[Wanted, int], Answer]
"""Asks for a file's content from a byte on; raises BrokenLineError."""

Keeps = Callable[[Wanted, str], bool]
"""Says whether the file that is at a path already is to stay."""


class DeniedError(GuestError):
    """The storage does not let us read, or does so no more."""


def bring(wanted: Sequence[Wanted], folder: str, open_at: Open, keeps: Keeps, tell: Tell, pause_s: float = 1.0) -> None:
    """Bring the files into a folder; `pause_s` is the first pause between tries. Asked again, it goes on where it was.

    Raises:
        DeniedError: the storage refused; what had begun to come is kept.
        GuestError: a name is not one inside the folder, the disk is too small, or a file does not come.
        OSError: the disk refused.
    """
    refuse_names([each.name for each in wanted])
    os.makedirs(folder, exist_ok=True)
    work = _Work(os.path.realpath(folder), open_at, keeps, pause_s)
    _refuse_full_disk(work.folder, sum(work.missing(each) for each in wanted))
    total = sum(each.size for each in wanted)
    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(work.bring, each) for each in wanted]
        try:
            _wait(futures, lambda: tell(work.done, total))
        finally:
            work.is_over.set()
            for future in futures:
                future.cancel()
    tell(work.done, total)


def is_same(wanted: Wanted, path: str) -> bool:
    """Say whether a file has the size that is wanted, and the content too where its mark is an MD5."""
    if _size(path) != wanted.size:
        return False
    digest = _md5() if _MD5.fullmatch(wanted.etag) else None
    if digest is None:
        return True
    with open(path, "rb") as file:
        _digest_all(file, digest)
    return bool(digest.hexdigest() == wanted.etag)


class _Work:
    """One bringing, shared by its threads."""

    def __init__(self, folder: str, open_at: Open, keeps: Keeps, pause_s: float) -> None:
        self.folder = folder
        self.is_over = threading.Event()
        self._open_at = open_at
        self._keeps = keeps
        self._pause_s = pause_s
        self._there: dict[str, int] = {}

    @property
    def done(self) -> int:
        """Return the bytes that are there."""
        return sum(list(self._there.values()))

    def missing(self, wanted: Wanted) -> int:
        """Return how many bytes must still come, as far as sizes tell."""
        path = os.path.join(self.folder, wanted.name)
        return max(0, wanted.size - max(_size(path), _size(_part(path, wanted))))

    def bring(self, wanted: Wanted) -> None:
        """Bring one file, however often the line breaks, as long as it comes on."""
        path = os.path.join(self.folder, wanted.name)
        self._make_folder(wanted.name)
        if _is_file(path) and self._keeps(wanted, path):
            self._there[wanted.name] = wanted.size
            return
        part, tries = _part(path, wanted), 0
        while not self.is_over.is_set():
            before = _size(part)
            try:
                self._come(wanted, part)
                os.replace(part, path)
                return
            except BrokenLineError as error:
                tries = 1 if _size(part) > before else tries + 1
                if tries >= TRIES:
                    raise GuestError(f"{wanted.name} does not come: {error}") from None
                self.is_over.wait(self._pause_s * 2.0 ** (tries - 1))

    def _make_folder(self, name: str) -> None:
        folder = os.path.dirname(os.path.join(self.folder, name))
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise GuestError(f"there can be no folder for {name}: {error.strerror}") from error
        inside = os.path.realpath(folder)
        if os.path.commonpath([inside, self.folder]) != self.folder:
            raise GuestError(f"the folder of {name} is a link that leads elsewhere")

    def _come(self, wanted: Wanted, part: str) -> None:
        """Let the rest of a file come and verify the whole."""
        with _opened(part) as file:
            if not wanted.size:
                file.truncate(0)
                return
            # At least the last byte is asked for: only an answer says how the content is to be verified.
            asked = min(file.seek(0, os.SEEK_END), wanted.size - 1)
            answer = self._open_at(wanted, asked)
            try:
                file.truncate(_start(answer, wanted, asked))
                digest = _md5() if _MD5.fullmatch(wanted.etag) and not _has_other_mark(answer) else None
                _digest_all(file, digest)
                self._copy(answer, file, digest, wanted)
                _refuse_other_content(file, digest, wanted)
            finally:
                answer.leave()
        _keep_time(part, answer)

    def _copy(self, answer: Answer, file: BinaryIO, digest: Any, wanted: Wanted) -> None:
        came = file.seek(0, os.SEEK_END)
        # One byte more than there should be is asked for: it tells that the answer is over, or too long.
        while came <= wanted.size and not self.is_over.is_set():
            chunk = answer.read(min(_CHUNK_BYTES, wanted.size + 1 - came))
            if not chunk:
                return
            file.write(chunk)
            if digest is not None:
                digest.update(chunk)
            came += len(chunk)
            self._there[wanted.name] = min(came, wanted.size)


def _wait(futures: Sequence[Future[None]], tell: Callable[[], Any]) -> None:
    """Wait for all, telling how far they are, and raise what the first of them raises."""
    waiting = set(futures)
    while waiting:
        ended, waiting = wait(waiting, timeout=_TELL_EVERY_S, return_when=FIRST_EXCEPTION)
        for future in ended:
            future.result()
        tell()


def _refuse_full_disk(folder: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free - _SPARE_BYTES:
        raise GuestError(f"the disk is too small: {needed} bytes are to come, and {free} are free (set disk_gb)")


def _opened(part: str) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.fdopen(os.open(part, flags, 0o644), "a+b")


def _start(answer: Answer, wanted: Wanted, asked: int) -> int:
    """Return the byte an answer begins at."""
    if answer.status == 200:
        return 0
    if answer.status == 206:
        found = _RANGE.match(answer.header("Content-Range"))
        if found is None or int(found[1]) != asked:
            raise BrokenLineError("the answer begins elsewhere than was asked")
        return asked
    if answer.status in (401, 403):
        raise DeniedError(f"the storage refuses to give {wanted.name} (status {answer.status})")
    if answer.status in (404, 412, 416):
        raise GuestError(f"{wanted.name} was changed or removed since it was looked up; start again")
    raise BrokenLineError(f"the storage answers with status {answer.status}")


def _has_other_mark(answer: Answer) -> bool:
    """Say whether the content is encrypted with a key of somebody's own: its mark is then no MD5, whatever it looks like."""
    kind = answer.header("x-amz-server-side-encryption")
    return kind.startswith("aws:kms") or bool(answer.header("x-amz-server-side-encryption-customer-algorithm"))


def _refuse_other_content(file: BinaryIO, digest: Any, wanted: Wanted) -> None:
    came = file.seek(0, os.SEEK_END)
    if came < wanted.size:
        raise BrokenLineError(f"it ended after {came} of {wanted.size} bytes")
    if came > wanted.size or (digest is not None and digest.hexdigest() != wanted.etag):
        file.truncate(0)
        raise BrokenLineError("what came is not what was looked up")


def _keep_time(part: str, answer: Answer) -> None:
    with contextlib.suppress(ValueError, OverflowError):  # what stands in a header may be anything
        seconds = float(next(filter(None, map(answer.header, _MTIME_HEADERS)), ""))
        os.utime(part, (seconds, seconds))


def _digest_all(file: BinaryIO, digest: Any) -> None:
    file.seek(0)
    if digest is not None:
        for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
            digest.update(chunk)


def _md5() -> Any:
    """Return a new MD5, None where this Python may not compute any."""
    make: Callable[..., Any] = hashlib.md5
    try:
        return make(usedforsecurity=False)
    except TypeError:  # Python 3.8 cannot be told what it is for
        return make()
    except ValueError:
        return None


def _part(path: str, wanted: Wanted) -> str:
    """Return where a file comes to until it is whole: another content comes to another place."""
    mark = hashlib.sha256(f"{wanted.name}\0{wanted.etag}\0{wanted.size}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return os.path.join(os.path.dirname(path), f".{mark}.part")


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
