"""The values: canonical msgpack byte strings of random bytes, so that nobody gains by compressing."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

Item = tuple[bytes, bytes]

_SEED = 20
_HEAD_SIZES = ((1 << 8, b"\xc4", 1), (1 << 16, b"\xc5", 2), (1 << 32, b"\xc6", 4))


def msgpack_bytes(data: bytes) -> bytes:
    """Returns what msgpack makes of a byte string; written out, as others' environments have no msgpack."""
    code, size = next((code, size) for limit, code, size in _HEAD_SIZES if len(data) < limit)
    return code + len(data).to_bytes(size, "big") + data


def batches(count: int, batch: int, least: int, most: int) -> Iterator[list[Item]]:
    """Returns lists of (key, value), the same in every process. A key is 16 bytes of a hash of the value.

    Values of one size share their tail: making them anew would take longer than storing them.
    """
    source = random.Random(_SEED)
    pool = source.randbytes(most)
    for first in range(0, count, batch):
        items = []
        for number in range(first, min(first + batch, count)):
            # The head of two bytes counts, so that the smallest value has `least` bytes.
            size = source.randint(least, most) - 2
            unique = number.to_bytes(8, "big") + source.randbytes(8)
            tail = source.randbytes(size - 16) if most < 1_000 else pool[: size - 16]
            value = msgpack_bytes(unique + tail)
            items.append((hashlib.blake2b(unique, digest_size=16).digest(), value))
        yield items


def some(keys: list[bytes], count: int) -> list[bytes]:
    """Returns at most `count` of the keys in a random order, the same every time."""
    return random.Random(_SEED).sample(keys, min(count, len(keys)))
