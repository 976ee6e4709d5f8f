"""Reading a data file that LMDB must not read any more: page by page, in Python, where no damage can do harm.

What is said here of the layout of pages is that of LMDB 0.9 on machines with words of 64 bits, little-endian or as the
machine is. A page has a header of 16 bytes: its number, two bytes of nothing, flags, and where its free room begins and
ends (on an overflow page: how many pages it spans). Offsets of nodes follow. A node has a header of 8 bytes: size or
page number, flags, size of its key.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from redun.core import limits
from redun.store.ports import KEY_BYTES

_HEADER: Final = struct.Struct("=QHHHH")
_NODE: Final = struct.Struct("=HHHH")
_TABLE: Final = struct.Struct("=IHHQQQQQ")
_META: Final = struct.Struct("=IIQQ")
_MAGIC: Final = 0xBEEFC0DE
_VERSION: Final = 1
_PAGE_BYTES: Final = (4096, 8192, 16384, 32768, 65536)
_BRANCH, _LEAF = 1, 2
_IN_PAGES, _IS_TABLE, _REPEATED = 1, 2, 4
#: No value of a store is larger; what says so is damaged.
_VALUE_BYTES: Final = 4 * limits.MIB
#: Deeper is no tree.
_DEPTH: Final = 64


class Tree(NamedTuple):
    """What the file says of a table: its flags, how many rows it has, and its first page."""

    flags: int
    rows: int
    root: int


class Row(NamedTuple):
    """A node of a leaf. `tree`: the table that it names, where it is the name of one."""

    key: bytes
    value: bytes
    tree: Tree | None = None


class DataFile:
    """The pages of a data file. What cannot be read is passed over and noted.

    Attributes:
        skipped: how many pages were met that are none.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  closed by `close`
        size = os.fstat(self._file.fileno()).st_size
        metas = [meta for page in _PAGE_BYTES for meta in self._metas(page)]
        self._page_bytes = metas[0][0] if metas else _PAGE_BYTES[0]
        #: The tables of tables, newest first.
        self.mains: list[Tree] = [tree for _, _, tree in sorted(metas, key=lambda meta: -meta[1])]
        self.pages = size // self._page_bytes
        self._seen = bytearray(self.pages)
        self.skipped = 0

    def _metas(self, page_bytes: int) -> list[tuple[int, int, Tree]]:
        found = []
        for number in (0, 1):
            page = os.pread(self._file.fileno(), _HEADER.size + _META.size + 2 * _TABLE.size + 16, number * page_bytes)
            try:
                magic, version, _, _ = _META.unpack_from(page, _HEADER.size)
                first = _HEADER.size + _META.size
                said = _TABLE.unpack_from(page, first)[0]
                _, flags, _, _, _, _, rows, root = _TABLE.unpack_from(page, first + _TABLE.size)
                _, transaction = struct.unpack_from("=QQ", page, first + 2 * _TABLE.size)
            except struct.error:
                continue
            if (magic, version, said) == (_MAGIC, _VERSION, page_bytes):
                found.append((page_bytes, transaction, Tree(flags, rows, root)))
        return found

    def tables(self) -> dict[bytes, Tree]:
        """Returns the tables of the newest list of them that can be read."""
        for main in self.mains:
            found = {row.key: row.tree for row in self.rows(main) if row.tree is not None}
            if found:
                return found
        return {}

    def rows(self, tree: Tree) -> Iterator[Row]:
        """Returns the rows of a table in the order of their keys, as far as they can be read."""
        todo = [(tree.root, 0)]
        while todo:
            number, depth = todo.pop()
            page = self._page(number)
            if page is None or depth > _DEPTH or self._seen[number]:
                self.skipped += number < 2**64 - 1  # the root of an empty table
                continue
            self._seen[number] = 1
            flags = _HEADER.unpack_from(page)[2]
            if flags & _BRANCH:
                todo += reversed([(child, depth + 1) for child in _children(page)])
            elif flags & _LEAF:
                yield from self._nodes(page)
            else:
                self.skipped += 1

    def loose_rows(self) -> Iterator[Row]:
        """Returns the rows of the leaves that `rows` has not come to: hidden ones, and those of former times."""
        for number in range(2, self.pages):
            page = None if self._seen[number] else self._page(number)
            if page is not None and _HEADER.unpack_from(page)[2] == _LEAF:
                yield from (row for row in self._nodes(page) if row.tree is None)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _page(self, number: int) -> bytes | None:
        if not 2 <= number < self.pages:
            return None
        try:
            page = os.pread(self._file.fileno(), self._page_bytes, number * self._page_bytes)
        except OSError:  # a bad place on the disk
            return None
        return page if len(page) == self._page_bytes and _HEADER.unpack_from(page)[0] == number else None

    def _nodes(self, page: bytes) -> Iterator[Row]:
        for at in _offsets(page):
            low, high, flags, key_bytes = _NODE.unpack_from(page, at)
            size, start = low | high << 16, at + _NODE.size + key_bytes
            key = page[at + _NODE.size : start]
            odd = not 0 < key_bytes <= KEY_BYTES or len(key) != key_bytes or size > _VALUE_BYTES
            if odd or flags & _REPEATED:
                self.skipped += 1
                continue
            value = self._overflow(page, start, size) if flags & _IN_PAGES else page[start : start + size]
            if value is None or len(value) != size:
                self.skipped += 1
            elif flags & _IS_TABLE:
                if size == _TABLE.size:
                    _, kind, _, _, _, _, rows, root = _TABLE.unpack(value)
                    yield Row(key, value, Tree(kind, rows, root))
            else:
                yield Row(key, value)

    def _overflow(self, page: bytes, start: int, size: int) -> bytes | None:
        if len(page) < start + 8:
            return None
        (number,) = struct.unpack_from("=Q", page, start)
        if not 2 <= number < self.pages:
            return None
        try:  # whatever its header says: that may be all that is damaged, and what is read is checked as any other row
            return os.pread(self._file.fileno(), size, number * self._page_bytes + _HEADER.size)
        except OSError:
            return None


def _offsets(page: bytes) -> list[int]:
    """Where the nodes of a page are, without those that lie outside."""
    lower = _HEADER.unpack_from(page)[3]
    count = max(min(lower, len(page)) - _HEADER.size, 0) // 2
    offsets = struct.unpack_from(f"={count}H", page, _HEADER.size)
    return [at for at in offsets if lower <= at <= len(page) - _NODE.size]


def _children(page: bytes) -> list[int]:
    found = []
    for at in _offsets(page):
        low, high, flags, _ = _NODE.unpack_from(page, at)
        found.append(low | high << 16 | flags << 32)
    return found
