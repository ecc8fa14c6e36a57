"""The stored entry: the JSON body of one resource and the data that a hit needs, as plain bytes.

Layout, version 2, all numbers big-endian::

    2   the format, "R2"
    4   CRC-32 of all bytes that follow
    8   time of the fill, Unix time in milliseconds
    4   length of the inflated body
    1   1 if the body is compressed with gzip, 0 if that would not make it shorter
    16  digest of the inflated body
    16  the history in which the tokens were read
    1   number of tokens
    16  each token, in the order of the declaration's tags
    …   the body

A release that changes the layout changes the format, so that no release misreads the entries of another.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

FORMAT = b"R2"
HEADER = struct.Struct(">2sIQI?16s16sB")
CHECKED_FROM = 6
TOKEN_BYTES = 16
HISTORY_BYTES = 16
DIGEST_BYTES = 16
# Of an answer that is not stored.
NO_HISTORY = bytes(HISTORY_BYTES)
# Level 6 is zlib's own balance; a higher one costs a miss more than it saves a hit.
COMPRESSION_LEVEL = 6


class Entry(NamedTuple):
    """``tokens`` are the joined tokens that were read before the fill, and ``history`` is that of the server
    which gave them. ``payload`` is the stored body.

    A tuple, because each hit makes one and a frozen dataclass takes longer.
    """

    filled_at_ms: int
    body_length: int
    compressed: bool
    digest: bytes
    history: bytes
    tokens: bytes
    payload: bytes

    @property
    def body(self) -> bytes:
        """The JSON, inflated."""
        return zlib.decompress(self.payload, wbits=31) if self.compressed else self.payload

    def is_live(self, tokens: Sequence[bytes | None], history: bytes) -> bool:
        """Whether every token exists and is the one that was read before the fill, in the same history."""
        return (
            self.history == history and None not in tokens and self.tokens == b"".join(tokens)  # type: ignore[arg-type]
        )


def make_entry(body: bytes, *, tokens: Sequence[bytes], now_ms: int, history: bytes = NO_HISTORY) -> Entry:
    # mtime=0 keeps the time out of the bytes, so that equal bodies have equal payloads.
    squeezed = gzip.compress(body, COMPRESSION_LEVEL, mtime=0)
    compressed = len(squeezed) < len(body)
    return Entry(
        filled_at_ms=now_ms,
        body_length=len(body),
        compressed=compressed,
        digest=blake2b(body, digest_size=DIGEST_BYTES).digest(),
        history=history,
        tokens=b"".join(tokens),
        payload=squeezed if compressed else body,
    )


def encode(entry: Entry) -> bytes:
    count = len(entry.tokens) // TOKEN_BYTES
    fields = (entry.filled_at_ms, entry.body_length, entry.compressed, entry.digest, entry.history, count)
    unchecked = HEADER.pack(FORMAT, 0, *fields) + entry.tokens + entry.payload
    checksum = zlib.crc32(memoryview(unchecked)[CHECKED_FROM:])
    return HEADER.pack(FORMAT, checksum, *fields) + entry.tokens + entry.payload


def decode(stored: bytes) -> Entry | None:
    """The entry, or ``None`` for any other bytes: foreign, cut, damaged, or of another format."""
    if len(stored) < HEADER.size or not stored.startswith(FORMAT):
        return None
    _, checksum, filled_at_ms, body_length, compressed, digest, history, count = HEADER.unpack_from(stored)
    if zlib.crc32(memoryview(stored)[CHECKED_FROM:]) != checksum:
        return None
    tokens_end = HEADER.size + count * TOKEN_BYTES
    tokens, payload = stored[HEADER.size : tokens_end], stored[tokens_end:]
    return Entry(filled_at_ms, body_length, compressed, digest, history, tokens, payload)
