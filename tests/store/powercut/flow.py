"""A workflow with results of every size: rows in the table, large rows, and files of their own."""

from __future__ import annotations

import threading
from typing import Any

from redun import task
from redun.core import limits

redun_namespace = "power"

#: Lets the writer thread commit while jobs are on their way.
_A_MOMENT = 0.004


@task()
def small(number: int) -> dict[str, int]:
    threading.Event().wait(_A_MOMENT)
    return {"number": number}


@task()
def middle(number: int) -> list[str]:
    return [f"{number}-{i}" for i in range(200 * number)]


@task()
def large(number: int) -> bytes:
    return bytes([number]) * (limits.LEAF_BYTES + number)


@task()
def size(part: Any) -> int:
    return len(part)


@task()
def total(sizes: list[int]) -> int:
    return sum(sizes)


@task()
def main(version: int) -> int:
    parts = [small(version * 100 + i) for i in range(30)]
    more = [middle(i) for i in range(version, version + 12)]
    return total([size(part) for part in [*parts, *more, large(version), large(version + 1)]])


def expected(version: int) -> int:
    """Returns what `main` gives."""
    texts = sum(200 * i for i in range(version, version + 12))
    return 30 + texts + 2 * limits.LEAF_BYTES + 2 * version + 1
