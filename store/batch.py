"""What a run hands to the store at a time: everything that one step means, written in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from redun.core.digest import Digest
from redun.core.objects import JobRow, TaskCount
from redun.store.memo import MemoUpdate
from redun.store.stats import Status


class RunUpdate(NamedTuple):
    """How far a live run is. Each replaces the one before it.

    Attributes:
        uuid: of the run.
        pages: ids of all full pages of job rows so far.
        tail: rows of jobs that have ended and are on no page yet.
        running: rows of jobs that have not ended.
        root: call of the root job, if it has one yet.
        rows: row numbers given out so far.
        counts: the status table so far; what an interrupted run will show.
        sources: (task id, id of the source as it was) of the tasks used so far.
    """

    uuid: bytes
    pages: Sequence[Digest] = ()
    tail: tuple[JobRow, ...] = ()
    running: tuple[JobRow, ...] = ()
    root: Digest | None = None
    rows: int = 0
    counts: tuple[TaskCount, ...] = ()
    sources: tuple[tuple[Digest, Digest], ...] = ()


class RefMove(NamedTuple):
    """A move of a ref: see `Store.set_ref`."""

    name: str
    new: Digest | None
    expected: Digest | None
    reason: str


class Batch:
    """What one step of a run means, to be written in one transaction.

    Attributes:
        objects: id -> (kind, payload).
        memo: what the cache learns, in order.
        run: how far the run is.
        stats: path -> status of the file, as `Store.stat_memo_get` returns it.
        tallies: call -> jobs of its subtree by task, as `Store.tally` returns them.
        blobs: id -> size of blobs whose payload `Store.write_blob` has written.
        moves: moves of refs, in order, made after all else; if one cannot be made, nothing is written.
    """

    __slots__ = ("blobs", "memo", "moves", "objects", "run", "stats", "tallies")

    def __init__(
        self,
        objects: dict[Digest, tuple[str, bytes]] | None = None,
        memo: list[MemoUpdate] | None = None,
        run: RunUpdate | None = None,
        stats: dict[str, Status] | None = None,
        tallies: dict[Digest, list[int]] | None = None,
        blobs: dict[Digest, int] | None = None,
        moves: list[RefMove] | None = None,
    ) -> None:
        self.objects = {} if objects is None else objects
        self.memo = [] if memo is None else memo
        self.run = run
        self.stats = {} if stats is None else stats
        self.tallies = {} if tallies is None else tallies
        self.blobs = {} if blobs is None else blobs
        self.moves = [] if moves is None else moves
