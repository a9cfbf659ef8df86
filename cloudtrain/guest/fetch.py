"""Data from object storage by links that were made elsewhere: the machine has no credentials for it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Any, Callable, Iterator, Mapping
from urllib.parse import urlsplit

from .download import Tell, Wanted, bring, is_same
from .errors import GuestError
from .line import Answer, Lines


def fetch(work: str, content: Mapping[str, Any], tell: Tell, say: Callable[[str], Any], pause_s: float = 1.0) -> None:
    """Bring the files that `content` lists, as the protocol has it, into a folder. Asked again, it goes on where it was.

    Raises:
        DeniedError: a link is not good any more.
        GuestError: what is listed cannot be used, or does not come.
    """
    links = _read(content)
    servers = {server: Lines(server) for server, _ in links.values()}

    def open_at(wanted: Wanted, start: int) -> Answer:
        server, target = links[wanted]
        # What was replaced since it was listed must not be mixed with what came before.
        headers = {"Range": f"bytes={start}-", **({"If-Match": f'"{wanted.etag}"'} if wanted.etag else {})}
        return servers[server].ask("GET", target, headers)

    try:
        with only_one(work, say):
            bring(list(links), work, open_at, is_same, tell, pause_s)
    finally:
        for lines in servers.values():
            lines.close()


@contextlib.contextmanager
def only_one(work: str, say: Callable[[str], Any]) -> Iterator[None]:
    """Let one process at a time bring files into a folder: one whose asker has gone may still be at work."""
    os.makedirs(work, exist_ok=True)
    lock = os.open(
        os.path.join(os.path.dirname(os.path.abspath(work)), "fetch.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644
    )
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is fetching: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _read(content: Mapping[str, Any]) -> dict[Wanted, tuple[str, str]]:
    """Return server and target of each file. What is wrong with a link is said without it: it is a secret."""
    files = content.get("files")
    if not isinstance(files, list):
        raise GuestError('fetch wants {"files": [{"name", "url", "bytes", "etag"}]} on its standard input')
    found: dict[Wanted, tuple[str, str]] = {}
    for each in files:
        wanted, url = _one(each)
        if wanted in found:
            raise GuestError("two of the files have one name")
        found[wanted] = _parts(url)
    return found


def _one(file: Any) -> tuple[Wanted, str]:
    if not isinstance(file, dict) or not all(isinstance(file.get(key), str) for key in ("name", "url", "etag")):
        raise GuestError("one of the files to fetch is described as none could be")
    size = file.get("bytes")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise GuestError(f"{file['name']!r} has no size")
    return Wanted(file["name"], size, file["etag"]), file["url"]


def _parts(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise GuestError("an address in the object storage is none") from None
    return f"{parts.scheme}://{parts.netloc}", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
