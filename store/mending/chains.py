"""Chains of executions of which one is lost: what was before it, and which is the newest that is left."""

from __future__ import annotations

from contextlib import suppress

from redun.core import limits
from redun.core.digest import Digest
from redun.core.errors import MalformedObject, StoreDamaged
from redun.core.objects import ExecRecord
from redun.store.mending.work import Work
from redun.store.objects import HEAD_BYTES, kind_of
from redun.store.ports import scan_prefix
from redun.store.refs import EXECUTIONS, read_entry


class Chains:
    """What the logs and the executions themselves say of the order of executions. Read when asked for first."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._logged: dict[bytes, Digest | None] | None = None
        self._present: dict[Digest, ExecRecord] | None = None

    def is_execution(self, digest: bytes) -> bool:
        """Returns whether a log says that an id was an execution's."""
        return digest in self._moves()

    def before(self, digest: bytes) -> Digest | None:
        """Returns the execution before a lost one on its chain, or None where that is not known.

        The log of the chain says it. Where it does not, it is the newest execution that no other one leads to.
        """
        moves = self._moves()
        return moves[digest] if digest in moves else self._newest_loose(digest)

    def newest(self, chain: bytes) -> Digest | None:
        """Returns the newest execution that is there of those that a chain has had, or None.

        Args:
            chain: key of its ref.
        """
        found: Digest | None = None
        for at, row in scan_prefix(self._work.backend, "reflog", chain + b"\0"):
            with suppress(StoreDamaged):
                new = read_entry(at, row).new
                found = new if new is not None and new in self._executions() else found
        store = chain[len(EXECUTIONS) :].decode("ascii", "replace")
        mine = {digest: record for digest, record in self._executions().items() if record.store.hex() == store}
        return found or _newest(mine)

    def _moves(self) -> dict[bytes, Digest | None]:
        if self._logged is None:
            self._logged = {}
            for at, row in scan_prefix(self._work.backend, "reflog", EXECUTIONS.encode()):
                with suppress(StoreDamaged):
                    entry = read_entry(at, row)
                    if entry.new is not None and entry.reason in ("run", "interrupted"):
                        self._logged[entry.new] = entry.old
        return self._logged

    def _newest_loose(self, digest: bytes) -> Digest | None:
        after = [record for record in self._executions().values() if record.parent == digest]
        if not after:
            return None
        some = after[0]
        older = {
            other: record
            for other, record in self._executions().items()
            if record.store == some.store and record.start <= some.start and record != some
        }
        return _newest(older)

    def _executions(self) -> dict[Digest, ExecRecord]:
        if self._present is None:
            self._present = {}
            start = b""
            while page := self._work.backend.heads("objects", start, limits.SCAN_KEYS, HEAD_BYTES):
                for key, head, _ in page:
                    with suppress(StoreDamaged, MalformedObject):
                        found = self._work.payload(key) if kind_of(head) == "exec" else None
                        if found is not None:
                            self._present[Digest(key)] = ExecRecord.parse(found[1])
                start = page[-1][0] + b"\0"
        return self._present


def _newest(records: dict[Digest, ExecRecord]) -> Digest | None:
    """The newest of those that none of the others leads to."""
    inner = {record.parent for record in records.values()}
    loose = [(record.start, digest) for digest, record in records.items() if digest not in inner]
    return max(loose)[1] if loose else None
