"""The stored entry: one resource's JSON body with what a hit needs, as plain bytes.

Layout, version 1, all numbers big-endian::

    2   version mark "R1"
    4   CRC-32 of all that follows
    8   time of the fill, Unix time in milliseconds
    4   length of the inflated body
    1   1 where the body is compressed with gzip, 0 where that did not make it shorter
    16  digest of the inflated body
    1   number of tokens
    16  a token, so many times, in the order of the view's tags
    …   the body

A release with another layout has another mark, so no release misreads another's entries.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

FORMAT = b"R1"
HEADER = struct.Struct(">2sIQI?16sB")
CHECKED_FROM = 6
TOKEN_BYTES = 16
DIGEST_BYTES = 16
# Level 6 is zlib's own balance; a higher one costs a miss more than it saves a hit.
COMPRESSION_LEVEL = 6


class Entry(NamedTuple):
    """``tokens`` are those the entry was filled under, joined; ``payload`` is as sent or inflated.

    A tuple, which is made faster than a frozen dataclass, at each hit.
    """

    filled_at_ms: int
    body_length: int
    compressed: bool
    digest: bytes
    tokens: bytes
    payload: bytes

    @property
    def body(self) -> bytes:
        """The JSON."""
        return zlib.decompress(self.payload, wbits=31) if self.compressed else self.payload

    def is_live(self, tokens: Sequence[bytes | None]) -> bool:
        """Whether every token is there and is the one that the entry was filled under."""
        return None not in tokens and self.tokens == b"".join(tokens)  # type: ignore[arg-type]


def make_entry(body: bytes, *, tokens: Sequence[bytes], now_ms: int) -> Entry:
    # mtime=0 keeps the time out of the bytes: equal bodies are equal on the wire.
    squeezed = gzip.compress(body, COMPRESSION_LEVEL, mtime=0)
    compressed = len(squeezed) < len(body)
    return Entry(
        filled_at_ms=now_ms,
        body_length=len(body),
        compressed=compressed,
        digest=blake2b(body, digest_size=DIGEST_BYTES).digest(),
        tokens=b"".join(tokens),
        payload=squeezed if compressed else body,
    )


def encode(entry: Entry) -> bytes:
    count = len(entry.tokens) // TOKEN_BYTES
    fields = (entry.filled_at_ms, entry.body_length, entry.compressed, entry.digest, count)
    unchecked = HEADER.pack(FORMAT, 0, *fields) + entry.tokens + entry.payload
    checksum = zlib.crc32(memoryview(unchecked)[CHECKED_FROM:])
    return HEADER.pack(FORMAT, checksum, *fields) + entry.tokens + entry.payload


def decode(stored: bytes) -> Entry | None:
    """The entry, or ``None`` for bytes that are not one: foreign, cut, damaged, another version's."""
    if len(stored) < HEADER.size or not stored.startswith(FORMAT):
        return None
    _, checksum, filled_at_ms, body_length, compressed, digest, count = HEADER.unpack_from(stored)
    if zlib.crc32(memoryview(stored)[CHECKED_FROM:]) != checksum:
        return None
    tokens_end = HEADER.size + count * TOKEN_BYTES
    return Entry(
        filled_at_ms, body_length, compressed, digest, stored[HEADER.size : tokens_end], stored[tokens_end:]
    )
