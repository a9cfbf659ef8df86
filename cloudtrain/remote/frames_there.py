"""Speak in frames: what both ends of a transfer say to each other, checked before it is believed.

Standard library only, Python 3.8 or newer; its source travels to the machine. A frame is a head, a few words of JSON and a
body. The head tells the sizes, a checksum of the words and the SHA-256 of the body as it is when it is unpacked.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from .entry_there import RefusedError

MAGIC = b"\0cloudtrain files 1\n"

# What we ask, and what the machine answers.
ORDER, PING, CHECK, BATCH, CHUNK, PROVE, WHOLE, TOUCH, DIGEST, SEAL, FORGET, LIST, GET, PIECE, REMOVE = range(1, 16)
HELLO, PONG, BEAT, DONE, LISTED, FAILED = range(32, 38)

MOST_BODY = 1 << 24
"""The largest body, bytes."""

_MOST_WORDS = 1 << 23
_HEAD = struct.Struct(">BBIIII32s")
_NOTHING = hashlib.sha256(b"").digest()
_SAMPLE = 1 << 13
_LEAST = 256
_WORTH_IT, _NOISE = 0.9, 0.97
_PLAIN, _DEFLATED = 0, 1
_MAY_DEFLATE = 2


class Frame(NamedTuple):
    """What was said.

    Attributes:
        words: what JSON can say.
        digest: the SHA-256 of the body.
        carried: the body's bytes on the line.
        may_deflate: whoever asked wants the answer deflated where that makes it smaller.
    """

    kind: int
    words: Any
    body: bytes
    digest: bytes
    carried: int = 0
    may_deflate: bool = False


def encode(
    kind: int, words: object = None, body: bytes = b"", *, deflated: bytes | None = None, may_deflate: bool = False
) -> list[bytes]:
    """Return a frame as pieces to be written one after the other; `deflated` travels in the body's place."""
    said = json.dumps(words, separators=(",", ":")).encode()
    digest = hashlib.sha256(body).digest() if body else _NOTHING
    packing, sent = (_PLAIN, body) if deflated is None else (_DEFLATED, deflated)
    packing |= _MAY_DEFLATE * may_deflate
    head = _HEAD.pack(kind, packing, len(said), len(body), len(sent), zlib.crc32(said), digest)
    return [head + said, sent] if sent else [head + said]


def receive(read: Callable[[int], bytes]) -> Frame:
    """Return the next frame; `read` returns exactly as many bytes as it is asked for.

    Raises:
        RefusedError: what comes is no frame, or a damaged one.
    """
    kind, packing, said_size, size, sent_size, checksum, digest = _HEAD.unpack(read(_HEAD.size))
    if max(size, sent_size) > MOST_BODY or said_size > _MOST_WORDS or packing > _DEFLATED + _MAY_DEFLATE:
        raise RefusedError("the stream is damaged: no frame has that size")
    said = read(said_size)
    if zlib.crc32(said) != checksum:
        raise RefusedError("the stream is damaged: what came is not what was sent")
    body = read(sent_size) if sent_size else b""
    if packing & _DEFLATED:
        body = inflate(body, size)
    if len(body) != size or (hashlib.sha256(body).digest() if body else _NOTHING) != digest:
        raise RefusedError("the stream is damaged: what came is not what was sent")
    try:
        return Frame(kind, json.loads(said), body, digest, sent_size, bool(packing & _MAY_DEFLATE))
    except (ValueError, RecursionError) as error:
        raise RefusedError("the stream is damaged: what it says is no JSON") from error


def inflate(content: bytes, most: int) -> bytes:
    """Return what was deflated, at most `most` bytes of it.

    Raises:
        RefusedError: it is more than that, or was never deflated.
    """
    inflating = zlib.decompressobj()
    try:
        plain = inflating.decompress(content, most + 1) if content else b""
    except zlib.error as error:
        raise RefusedError("the stream is damaged: it cannot be unpacked") from error
    if len(plain) > most or not inflating.eof:
        raise RefusedError("the stream is damaged: it unpacks to more than it says")
    return plain


def squeezed(body: bytes) -> bytes | None:
    """Return a body deflated, or None where a sample from its middle does not become a tenth smaller.

    The sample also tells whether anything in it repeats. Where nothing does, as among figures, a search for what repeats
    takes half as long again and makes it no smaller.
    """
    if len(body) < _LEAST:
        return None
    middle = max(0, len(body) - _SAMPLE) // 2
    sample = memoryview(body)[middle : middle + _SAMPLE]
    searched = len(_deflated(sample, zlib.Z_DEFAULT_STRATEGY))
    if searched >= _NOISE * len(sample):
        return None  # the search codes, too: no way makes much of it
    coded = len(_deflated(sample, zlib.Z_HUFFMAN_ONLY))
    if min(searched, coded) >= _WORTH_IT * len(sample):
        return None
    deflated = _deflated(body, zlib.Z_HUFFMAN_ONLY if coded <= searched else zlib.Z_DEFAULT_STRATEGY)
    return deflated if len(deflated) < len(body) else None


def _deflated(content: bytes | memoryview, strategy: int) -> bytes:
    deflating = zlib.compressobj(1, strategy=strategy)
    return deflating.compress(content) + deflating.flush()
