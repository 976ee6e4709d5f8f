"""How many jobs of which task the subtree of a call has, so that a whole replay need not walk it to be counted.

Derivable by walking the call's children, and therefore disposable. Numbers stand in the order of the distinct task
names of the call's footprint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgpack

from redun.core.codec import pack
from redun.core.digest import Digest
from redun.store.checksums import body_of, with_checksum
from redun.store.ports import ReadTransaction, WriteTransaction


def get(txn: ReadTransaction, call: Digest) -> list[int] | None:
    """Returns the numbers of a call's subtree, or None where none are kept."""
    data = txn.get("tally", call)
    body = None if data is None else body_of(call, data)
    if body is None:
        return None
    try:
        numbers = msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException):
        return None
    if isinstance(numbers, list) and all(type(number) is int and number >= 0 for number in numbers):
        return numbers
    return None


def put(txn: WriteTransaction, tallies: Mapping[Digest, Sequence[int]]) -> None:
    """Keeps the numbers of calls."""
    rows: list[tuple[bytes, bytes]] = [
        (call, with_checksum(call, pack(list(numbers)))) for call, numbers in tallies.items()
    ]
    txn.put_many("tally", sorted(rows))
