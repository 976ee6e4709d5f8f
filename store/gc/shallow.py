"""The table `shallow`: executions of which something that they point to may be missing, on purpose.

An execution that was pruned keeps its place on the chain while an older one is kept; what it points to is no longer
protected. The oldest one that is kept ends the chain: its parent is missing.
"""

from __future__ import annotations

from enum import IntFlag

from redun.core.digest import Digest
from redun.store.ports import Backend, ReadTransaction, WriteTransaction, scan_prefix


class Missing(IntFlag):
    """What an execution points to and may be missing: `PARENT`, the one before it; `CONTENTS`, all else."""

    PARENT = 1
    CONTENTS = 2


def all_shallow(backend: Backend) -> dict[Digest, Missing]:
    """Returns every row. There are as many as executions that were pruned, at most."""
    return {Digest(key): Missing(value[0] & 3) for key, value in scan_prefix(backend, "shallow", b"") if value}


def declared(txn: ReadTransaction, digest: bytes) -> Missing:
    """Returns what of an execution may be missing."""
    value = txn.get("shallow", digest)
    return Missing(value[0] & 3) if value else Missing(0)


def add(txn: WriteTransaction, digest: Digest, missing: Missing) -> None:
    """Declares that something may be missing, on top of what is declared already."""
    known = txn.get("shallow", digest)
    txn.put("shallow", digest, bytes((missing | (known[0] if known else 0),)))
