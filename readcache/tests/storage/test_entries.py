from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readcache.storage.entries import (
    FORMAT,
    HEADER,
    HISTORY_BYTES,
    NO_HISTORY,
    TOKEN_BYTES,
    Entry,
    decode,
    encode,
    make_entry,
)

TOKENS = (b"a" * TOKEN_BYTES, b"b" * TOKEN_BYTES)
COMPRESSIBLE = b'{"name":"kettle"}' * 40
INCOMPRESSIBLE = b'{"id":1}'

tokens_of_entries = st.lists(st.binary(min_size=TOKEN_BYTES, max_size=TOKEN_BYTES), max_size=6)


def stored(body: bytes, tokens: Sequence[bytes] = TOKENS) -> bytes:
    return encode(make_entry(body, tokens=tokens, now_ms=1_700_000_000_123))


# Round trip


@given(
    body=st.binary(max_size=3_000) | st.binary(max_size=20).map(lambda part: part * 100),
    tokens=tokens_of_entries,
    now_ms=st.integers(min_value=0, max_value=2**63),
)
def test_a_stored_entry_is_read_as_it_was_made(body: bytes, tokens: list[bytes], now_ms: int) -> None:
    entry = make_entry(body, tokens=tokens, now_ms=now_ms)

    read = decode(encode(entry))

    assert read == entry
    assert read.body == body
    assert (read.body_length, read.filled_at_ms) == (len(body), now_ms)
    assert read.is_live(tokens, NO_HISTORY)


@given(body=st.text(max_size=500))
def test_a_body_is_compressed_only_where_that_makes_it_shorter(body: str) -> None:
    raw = body.encode()
    entry = make_entry(raw, tokens=TOKENS, now_ms=0)

    assert len(entry.payload) <= len(raw)
    assert entry.compressed == (len(entry.payload) < len(raw))
    assert (gzip.decompress(entry.payload) if entry.compressed else entry.payload) == raw


@pytest.mark.parametrize(
    ("body", "compressed"), [(COMPRESSIBLE, True), (INCOMPRESSIBLE, False), (b"", False)]
)
def test_repetitive_bodies_are_compressed_and_short_ones_are_not(body: bytes, compressed: bool) -> None:
    entry = make_entry(body, tokens=TOKENS, now_ms=0)

    assert entry.compressed is compressed
    assert entry.body == body


def test_equal_bodies_have_equal_payloads_and_digests_at_any_time() -> None:
    first = make_entry(COMPRESSIBLE, tokens=TOKENS, now_ms=1)
    second = make_entry(COMPRESSIBLE, tokens=TOKENS[:1], now_ms=2_000_000_000_000)

    assert first.payload == second.payload
    assert first.digest == second.digest
    assert first.digest != make_entry(COMPRESSIBLE + b" ", tokens=TOKENS, now_ms=1).digest


# Bytes that are not an entry


@pytest.mark.parametrize("body", [COMPRESSIBLE, INCOMPRESSIBLE])
def test_one_damaged_byte_makes_an_entry_unreadable(body: bytes) -> None:
    whole = stored(body)

    for position in range(len(whole)):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= change
            assert decode(bytes(damaged)) is None, position


@pytest.mark.parametrize("body", [COMPRESSIBLE, INCOMPRESSIBLE, b""])
def test_missing_or_additional_bytes_make_an_entry_unreadable(body: bytes) -> None:
    whole = stored(body)

    for length in range(len(whole)):
        assert decode(whole[:length]) is None, length
    assert decode(whole + b"\0") is None
    assert decode(whole + whole) is None


@given(foreign=st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: FORMAT + rest))
def test_random_bytes_are_not_an_entry(foreign: bytes) -> None:
    assert decode(foreign) is None


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"1",
        b"OK",
        FORMAT,
        FORMAT + b"\0" * (HEADER.size - len(FORMAT)),
        pickle.dumps({"results": []}),
        json.dumps({"results": []}).encode(),
        gzip.compress(COMPRESSIBLE, mtime=0),
    ],
)
def test_values_that_other_programs_store_are_not_an_entry(foreign: bytes) -> None:
    assert decode(foreign) is None


@given(start=st.integers(min_value=0), noise=st.binary(min_size=1, max_size=60))
def test_overwritten_bytes_never_give_a_wrong_body(start: int, noise: bytes) -> None:
    whole = stored(COMPRESSIBLE)
    start %= len(whole)
    overwritten = (whole[:start] + noise + whole[start + len(noise) :])[: len(whole)]

    read = decode(overwritten)

    assert read is None or (overwritten == whole and read.body == COMPRESSIBLE)


def test_an_entry_of_another_version_is_not_an_entry() -> None:
    whole = stored(COMPRESSIBLE)
    assert whole.startswith(b"R2")

    for format_version in (b"R1", b"R3", b"r2", b"\x80\x05"):
        assert decode(format_version + whole[len(format_version) :]) is None


# Live and dead entries


def entry_under(*tokens: bytes) -> Entry:
    entry = decode(stored(COMPRESSIBLE, tokens))
    assert entry is not None
    return entry


def test_an_entry_is_live_while_each_token_is_the_one_it_was_filled_under() -> None:
    first, second = TOKENS

    assert entry_under(first, second).is_live([first, second], NO_HISTORY)
    assert not entry_under(first, second).is_live([second, first], NO_HISTORY)
    assert not entry_under(first, second).is_live([first, b"c" * TOKEN_BYTES], NO_HISTORY)
    assert not entry_under(first, second).is_live([b"c" * TOKEN_BYTES, second], NO_HISTORY)


def test_an_entry_is_dead_in_another_history() -> None:
    entry = make_entry(COMPRESSIBLE, tokens=TOKENS, history=b"h" * HISTORY_BYTES, now_ms=0)
    read = decode(encode(entry))

    assert read is not None
    assert read.is_live(TOKENS, b"h" * HISTORY_BYTES)
    assert not read.is_live(TOKENS, b"i" * HISTORY_BYTES)
    assert not read.is_live(TOKENS, NO_HISTORY)


def test_an_entry_is_dead_while_a_token_is_missing() -> None:
    first, second = TOKENS

    assert not entry_under(first, second).is_live([first, None], NO_HISTORY)
    assert not entry_under(first, second).is_live([None, second], NO_HISTORY)
    assert not entry_under(first, second).is_live([None, None], NO_HISTORY)
    # These join to the same bytes when the missing token is left out.
    assert not entry_under(first).is_live([first, None], NO_HISTORY)
    assert not entry_under().is_live([None], NO_HISTORY)


def test_an_entry_is_dead_under_more_or_fewer_tokens() -> None:
    first, second = TOKENS

    assert not entry_under(first, second).is_live([first], NO_HISTORY)
    assert not entry_under(first).is_live([first, second], NO_HISTORY)
    assert not entry_under(first).is_live([], NO_HISTORY)


@given(filled_under=tokens_of_entries, found=st.lists(st.none() | st.binary(max_size=40), max_size=6))
def test_an_entry_is_dead_under_other_tokens(filled_under: list[bytes], found: list[bytes | None]) -> None:
    is_live = entry_under(*filled_under).is_live(found, NO_HISTORY)

    assert not is_live or b"".join(filled_under) == b"".join(token or b"" for token in found)
    assert not is_live or None not in found
