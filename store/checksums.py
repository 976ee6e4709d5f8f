"""Checksums of rows that no id can check: what is derived, and what a live run has noted so far.

A row is its body and, in the last four bytes, the CRC-32 of key and body: a row under another key does not fit either.
"""

from __future__ import annotations

from struct import Struct
from typing import Final
from zlib import crc32

_BYTES: Final = 4
_pack: Final = Struct(">I").pack


def with_checksum(key: bytes, body: bytes) -> bytes:
    """Returns the row of a body."""
    return body + _pack(crc32(body, crc32(key)))


def body_of(key: bytes, row: bytes) -> bytes | None:
    """Returns the body of a row, or None if it is not as it was written."""
    body = row[:-_BYTES]
    return body if row[-_BYTES:] == _pack(crc32(body, crc32(key))) else None
