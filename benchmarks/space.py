"""How much of a store's files is in use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import lmdb


class Usage(NamedTuple):
    """Bytes of a store.

    Attributes:
        pages: pages of the data file that hold something.
        file: what the disk holds for the data file.
        tables: pages in use by table.
    """

    pages: int
    file: int
    tables: dict[str, int]


def usage(store: Path) -> Usage:
    """Returns what a closed store uses."""
    env = lmdb.open(str(store), readonly=True, lock=False, max_dbs=128, lib_version=0)
    try:
        with env.begin() as txn:
            main = env.open_db(None, txn=txn)
            names = [bytes(name).decode() for name in txn.cursor(main).iternext(values=False)]
            tables = {"(catalogue)": _bytes(txn.stat(main))}
        for name in names:
            handle = env.open_db(name.encode(), create=False)
            with env.begin() as txn:
                tables[name] = _bytes(txn.stat(handle))
    finally:
        env.close()
    return Usage(sum(tables.values()), (store / "data.mdb").stat().st_blocks * 512, tables)


def _bytes(stat: Mapping[str, Any]) -> int:
    pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
    return int(pages * stat["psize"])
