"""The two meta pages at the start of a data file of LMDB 0.9, as far as anybody but LMDB has to know them.

A page header of 16 bytes, then magic, version, address and map size (24 bytes), two table records of 48 bytes (the
first begins with the page size), the last page, and the last transaction: transactions of even numbers are named by the
first page, those of odd numbers by the second.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

_PAGE_SIZE_AT: Final = 16 + 24
_LAST_PAGE_AT: Final = 16 + 24 + 2 * 48
_NUMBER_AT: Final = _LAST_PAGE_AT + 8


def newest(directory: Path) -> tuple[int, int]:
    """Returns (last transaction, bytes that the file needs for the pages that this one knows), or (-1, 0)."""
    try:
        with open(directory / "data.mdb", "rb") as file:
            page_size = _page_size(file.fileno())
            metas = [os.pread(file.fileno(), 16, page * page_size + _LAST_PAGE_AT) for page in (0, 1)]
        transaction, last_page = max(struct.unpack("=QQ", meta)[::-1] for meta in metas)
        return transaction, (last_page + 1) * page_size
    except (OSError, struct.error):
        return -1, 0


def renumber(descriptor: int, number: int) -> None:
    """Gives the last transaction of a compact copy the number that it had in the original.

    A copy begins to count anew, and `lock.mdb` goes on counting as long as anybody has the store open: by its number
    the next transaction chooses the meta page to begin with, and of a copy one of them is that of an empty file. Both
    pages name the same tables here, as transactions of this number and of the one before it.
    """
    page_size = _page_size(descriptor)
    pages = [os.pread(descriptor, page_size, place * page_size) for place in (0, 1)]
    page = max(pages, key=lambda page: struct.unpack_from("=Q", page, _NUMBER_AT))
    for place in (0, 1):
        own = number - ((number ^ place) & 1)
        numbered = struct.pack("=Q", place) + page[8:_NUMBER_AT] + struct.pack("=Q", own) + page[_NUMBER_AT + 8 :]
        os.pwrite(descriptor, numbered, place * page_size)


def _page_size(descriptor: int) -> int:
    size: int = struct.unpack("=I", os.pread(descriptor, 4, _PAGE_SIZE_AT))[0]
    return size
