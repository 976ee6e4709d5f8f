"""Whether each object has the bytes that its id was made of, can be decoded, and points to objects that are there.

Memory is bounded however large the store is: rows are read in pages, pointers are looked up in sorted batches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from redun.core import limits
from redun.core.codec import POINTER_HEADS, references
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject, StoreDamaged, StoreError
from redun.core.frame import KINDS, header, object_id
from redun.core.objects import ExecRecord, check
from redun.store import compression, lost
from redun.store.blobs import BlobArea
from redun.store.gc import trash
from redun.store.gc.shallow import Missing, declared
from redun.store.objects import IN_FILE, RAW, SIZE_BYTES, ZSTD, kind_of
from redun.store.ports import Backend, ReadTransaction
from redun.store.problems import Problem, Progress

#: Rows of the first page, and bytes that a page should have: the next one is sized by what the last one held.
_FIRST_ROWS: Final = 64
_PAGE_BYTES: Final = 4 * limits.MIB
#: Different pointers that are looked up at a time, and those of one transaction.
_BATCH: Final = 200_000
_LOOKED_UP: Final = limits.SCAN_KEYS
#: Missing objects that are remembered, so that each is told once.
_TOLD: Final = 10_000

#: What happened is written once; all else is made again by whoever computes it again.
_ONCE: Final = frozenset({"jobs", "exec", "trace", "note"})
_AGAIN: Final = "run the workflow that made it with --no-cache: what is made anew replaces it"
_LOST: Final = "it cannot be made again; put it back from a copy of the store if there is one"
_NEWER: Final = "if a newer redun wrote it, upgrade; if not, run the workflow that made it with --no-cache"

Row = tuple[bytes, bytes]


class ObjectCheck:
    """Looks at the table of objects once, from its first row to its last."""

    def __init__(self, backend: Backend, fmt: ObjectFormat, blobs: BlobArea, level: int) -> None:
        self._backend = backend
        self._format = fmt
        self._blobs = blobs
        self._level = level
        self._pointers = Pointers(backend, fmt, self._payload_of)

    def problems(self, progress: Progress) -> Iterator[Problem]:
        """Returns what is wrong."""
        total, done = self._backend.read(lambda txn: txn.count("objects")), 0
        progress("objects", 0, total)
        for page in pages(self._backend, "objects"):
            yield from self._page(page)
            done += len(page)
            progress("objects", done, max(total, done))
        yield from self._pointers.look_up()

    def _page(self, page: list[Row]) -> Iterator[Problem]:
        for digest, env in page:
            opened = self._opened(digest, env)
            if isinstance(opened, Problem):
                yield opened
                continue
            kind, payload = opened
            if self._level < 2 or kind == "blob":
                continue
            problem = self._pointers.follow(digest, payload)
            if problem is None and self._level >= 4:
                problem = _check_form(digest, kind, payload)
            if problem is not None:
                yield problem
        if self._pointers.are_many:
            yield from self._pointers.look_up()

    def _opened(self, digest: bytes, env: bytes) -> tuple[str, bytes] | Problem:
        """Returns (kind, payload) of an object whose bytes fit its id; that of a blob in a file is left out."""
        if len(env) > 1 and env[0] == RAW and env[1] < len(KINDS):  # nearly all
            kind, payload = KINDS[env[1]], env[2:]
            return (kind, payload) if object_id(self._format, kind, payload) == digest else _damaged(digest, kind)
        try:
            kind = kind_of(env)
        except StoreDamaged:
            return _damaged(digest, "object")
        rest = env[2:] if env[1] < len(KINDS) else env[2 + len(kind) :]
        if env[0] == ZSTD:
            try:
                rest = compression.unpacked(rest)
            except StoreDamaged:
                return _damaged(digest, kind)
        if env[0] in (RAW, ZSTD):
            return (kind, rest) if object_id(self._format, kind, rest) == digest else _damaged(digest, kind)
        if env[0] != IN_FILE or len(rest) != SIZE_BYTES:
            return _damaged(digest, kind)
        found = self._in_file(digest, kind, int.from_bytes(rest, "big"))
        return found if isinstance(found, Problem) else (kind, found)

    def _payload_of(self, digest: bytes) -> bytes | None:
        env = self._backend.read(lambda txn: txn.get("objects", digest))
        opened = None if env is None else self._opened(digest, env)
        return None if opened is None or isinstance(opened, Problem) else opened[1]

    def _in_file(self, digest: bytes, kind: str, size: int) -> bytes | Problem:
        """Returns the payload of an object that lies in a file, and that of a blob as nothing: it is only hashed."""
        hasher = self._format.new()
        hasher.update(header(kind, size))
        kept: list[bytes] = []
        got = 0
        try:
            parts = self._blobs.parts(Digest(digest))
            if parts is None:
                return _bad_file(digest, kind, "is missing")
            for part in parts:
                got += len(part)
                if got > size:
                    break
                hasher.update(part)
                if kind != "blob":
                    kept.append(part)
        except StoreError as error:
            return _bad_file(digest, kind, f"cannot be read: {error.message}")
        if got != size:
            return _bad_file(digest, kind, f"has {'more' if got > size else 'less'} than its {size} bytes")
        if hasher.digest() != digest:
            return _bad_file(digest, kind, "has other bytes than its id was made of")
        return b"".join(kept)


class Pointers:
    """Looks up, a batch at a time, what objects point to.

    Objects are searched for what looks like a pointer, which is ten times faster than unpacking them. Only where
    nothing is found under such an id does the object itself have to say whether it points there.
    """

    def __init__(self, backend: Backend, fmt: ObjectFormat, payload_of: Callable[[bytes], bytes | None]) -> None:
        self._backend = backend
        self._head = POINTER_HEADS[fmt.size]
        [self._other_head] = [head for size, head in POINTER_HEADS.items() if size != fmt.size]
        looks = re.escape(self._head) + b"(.{%d})" % fmt.size
        self._find = re.compile(looks, re.DOTALL).findall
        self._find_hidden = re.compile(b"(?=%b)" % looks, re.DOTALL).findall
        self._payload_of = payload_of
        #: What may be pointed to, and one object that may do so.
        self._waiting: dict[bytes, bytes] = {}
        self._told: set[bytes] = set()

    @property
    def are_many(self) -> bool:
        """Whether it is time to look them up."""
        return len(self._waiting) >= _BATCH

    def follow(self, digest: bytes, payload: bytes) -> Problem | None:
        """Takes the pointers of an object; returns the problem of one whose bytes have none that can be found."""
        found: Sequence[bytes] = self._find(payload)
        if len(found) != payload.count(self._head):  # what looks like one may hide one that is
            found = self._find_hidden(payload)
        if self._other_head in payload:
            try:
                found = references(payload)
            except MalformedObject as error:
                return malformed(digest, "object", error, level=2)
        if found:
            self._waiting.update(dict.fromkeys(found, digest))
        return None

    def look_up(self) -> Iterator[Problem]:
        """Returns a problem for each object that is pointed to and missing."""
        waiting, self._waiting = self._waiting, {}
        targets = sorted(waiting)
        missing: dict[bytes, list[bytes]] = {}
        for start in range(0, len(targets), _LOOKED_UP):
            some = targets[start : start + _LOOKED_UP]
            present = self._backend.read(lambda txn, some=some: _present(txn, some))  # type: ignore[misc]
            if len(present) < len(some):
                for target in sorted(set(some).difference(present)):
                    missing.setdefault(waiting[target], []).append(target)
        for owner, gone in missing.items():
            for target in self._pointed_to(owner, gone):
                if target in self._told:
                    continue
                if len(self._told) < _TOLD:
                    self._told.add(target)
                message = f"object {target.hex()} is missing; {owner.hex()} points to it"
                yield Problem(2, "pointer", target.hex(), message, _AGAIN)

    def _pointed_to(self, owner: bytes, targets: list[bytes]) -> list[bytes]:
        payload = self._payload_of(owner)
        if payload is None:
            return []  # swept since: what nothing points to any more is no loss
        try:
            pointers = set(references(payload)) - self._declared(owner, payload)
        except MalformedObject:
            return []
        return [target for target in targets if Digest(target) in pointers]

    def _declared(self, owner: bytes, payload: bytes) -> set[Digest]:
        """What an execution points to and may be missing, because it was pruned or ends the chain."""
        missing = self._backend.read(lambda txn: declared(txn, owner))
        if not missing:
            return set()
        parent = {ExecRecord.parse(payload).parent} - {None}
        contents = set(references(payload)) - parent if missing & Missing.CONTENTS else set()
        return contents | (parent if missing & Missing.PARENT else set())  # type: ignore[operator,return-value]


def _present(txn: ReadTransaction, digests: list[bytes]) -> list[bytes]:
    """Those of the objects that are there, or in the trash, or known to be lost."""
    found = txn.present("objects", digests)
    if len(found) == len(digests):
        return found
    found = found + txn.present("trash", sorted(set(digests).difference(found)))
    return found + list(lost.among(txn, set(digests).difference(found)))


def pages(backend: Backend, table: str) -> Iterator[list[Row]]:
    """Returns all rows of a table in the order of their keys, in pages that take a few megabytes whatever they hold.

    Each page is a transaction of its own. What is written between two of them may or may not appear.

    Raises:
        StoreDamaged: if a row is met that is not found by its key: the pages above it lead elsewhere.
    """
    start, rows = b"", _FIRST_ROWS
    while True:
        page = backend.read(lambda txn, at=start, n=rows: _findable(txn, table, at, n))  # type: ignore[misc]
        if page:
            yield page
        if len(page) < rows:
            return
        start = page[-1][0] + b"\0"
        size = sum(len(value) for _, value in page)
        rows = max(1, min(2 * rows, rows * _PAGE_BYTES // max(size, 1), limits.SCAN_KEYS))


def _findable(txn: ReadTransaction, table: str, start: bytes, limit: int) -> list[Row]:
    page = txn.scan(table, start, limit)
    keys = [key for key, _ in page]
    # In both directions: a search that begins on the right page does not ask the pages above it.
    if any(len(txn.present(table, order)) != len(keys) for order in (keys, keys[::-1])):
        raise StoreDamaged(f"table {table} has rows that are not found by their keys")
    return page


def kinds(backend: Backend, digests: Iterable[bytes]) -> dict[bytes, str]:
    """Returns the kinds of those of the objects that are there."""
    wanted = sorted(set(digests))
    found: dict[bytes, str] = {}
    for start in range(0, len(wanted), _LOOKED_UP):
        found.update(backend.read(lambda txn, some=wanted[start : start + _LOOKED_UP]: _kinds(txn, some)))  # type: ignore[misc]
    return found


def _kinds(txn: ReadTransaction, digests: list[bytes]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for start in range(0, len(digests), _FIRST_ROWS):  # few at a time: each row may hold a megabyte
        some = digests[start : start + _FIRST_ROWS]
        rows = txn.get_many("objects", some)
        if len(rows) < len(some):
            rows += trash.find(txn, set(some).difference(key for key, _ in rows))
        found.update((key, named_kind(env)) for key, env in rows)
    return found


def named_kind(env: bytes) -> str:
    """Returns the kind that an envelope names, for people."""
    try:
        return kind_of(env)
    except StoreDamaged:
        return "damaged object"


def _check_form(digest: bytes, kind: str, payload: bytes) -> Problem | None:
    """Returns what is wrong with the form of a payload, or None."""
    try:
        check(kind, payload)
    except MalformedObject as error:
        return malformed(digest, kind, error, level=4)
    return None


def malformed(digest: bytes, kind: str, error: MalformedObject, *, level: int) -> Problem:
    """Returns the problem of bytes that fit their id and are no object of their kind."""
    return Problem(
        level, "malformed", digest.hex(), f"{kind} {digest.hex()} cannot be decoded: {error.message}", _NEWER
    )


def _damaged(digest: bytes, kind: str) -> Problem:
    remedy = _LOST if kind in _ONCE else _AGAIN
    return Problem(1, "object", digest.hex(), f"the bytes of {kind} {digest.hex()} do not fit its id", remedy)


def _bad_file(digest: bytes, kind: str, what: str) -> Problem:
    remedy = _LOST if kind in _ONCE else _AGAIN
    return Problem(1, "blob", digest.hex(), f"the file of {kind} {digest.hex()} {what}", remedy)
