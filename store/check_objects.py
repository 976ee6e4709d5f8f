"""Whether each object has the bytes that its id was made of, can be decoded, and points to objects that are there.

Memory is bounded however large the store is: rows are read in pages, pointers are looked up in sorted batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from redun.core import limits
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject, StoreDamaged, StoreError
from redun.core.frame import KIND_CODES, KINDS, head, header, object_id
from redun.core.objects import check
from redun.store import compression
from redun.store.blobs import BlobArea
from redun.store.gc import trash
from redun.store.objects import IN_FILE, RAW, SIZE_BYTES, ZSTD, kind_of
from redun.store.pointers import Pointers, Span
from redun.store.ports import KEY_BYTES, Backend, ReadTransaction
from redun.store.problems import Problem, Progress

#: Rows of the first page, and bytes that a page should have: the next one is sized by what the last one held.
_FIRST_ROWS: Final = 64
_PAGE_BYTES: Final = 4 * limits.MIB
#: Objects searched for pointers at once: few, as each that may point to what is missing is looked at by itself.
_SEARCHED: Final = 256
#: Objects looked up in one transaction.
_LOOKED_UP: Final = limits.SCAN_KEYS

#: How the envelopes of nearly all objects begin, and what their frames begin with. Blobs point to nothing, and what
#: executions point to may be missing.
_PLAIN: Final = {bytes((RAW, code)): head(kind) for kind, code in KIND_CODES.items() if kind not in ("blob", "exec")}

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
        self._pointers = Pointers(backend, fmt, self._payloads)

    def problems(self, progress: Progress, start: bytes = b"", stop: bytes = b"") -> Iterator[Problem]:
        """Returns what is wrong with the objects from one id to before another; none for no end."""
        total, done = self._backend.read(lambda txn: txn.count("objects")), 0
        progress("objects", 0, total)
        for page in pages(self._backend, "objects", start):
            rows = [row for row in page if row[0] < stop] if stop else page
            if rows:
                yield from self._page(rows)
            done += len(rows)
            progress("objects", done, max(total, done))
            if len(rows) < len(page):
                break
        yield from self._missing()

    def _page(self, page: list[Row]) -> Iterator[Problem]:
        heads, hashed = _PLAIN, self._format.hash
        # In one expression: a call of Python's for each of millions costs as much as hashing it.
        plain = [
            row
            for row in page
            if (frame := heads.get(row[1][:2])) and hashed(frame % (len(row[1]) - 2) + row[1][2:]) == row[0]
        ]
        if len(plain) < len(page):
            seen = {digest for digest, _ in plain}
            for digest, env in page:
                if digest not in seen:
                    yield from self._one(digest, env)
        if self._level < 2:
            return
        for start in range(0, len(plain), _SEARCHED):
            yield from self._followed(plain[start : start + _SEARCHED])
        if self._pointers.are_many:
            yield from self._missing()

    def _followed(self, rows: list[Row]) -> Iterator[Problem]:
        span = rows[0][0], rows[-1][0]
        strange = dict(self._pointers.follow(span, [env for _, env in rows], skip=2))
        for place, error in strange.items():
            yield malformed(rows[place][0], "object", error, level=2)
        if self._level >= 4:
            for place, (digest, env) in enumerate(rows):
                if place not in strange:
                    yield from _form(digest, KINDS[env[1]], env[2:])

    def _one(self, digest: bytes, env: bytes) -> Iterator[Problem]:
        """Looks at an object that is not one of nearly all."""
        opened = self._opened(digest, env)
        if isinstance(opened, Problem):
            yield opened
            return
        kind, payload = opened
        if self._level < 2 or kind == "blob":
            return
        strange: list[MalformedObject] = []
        if kind == "exec":
            try:
                self._pointers.follow_execution(digest, payload)
            except MalformedObject as error:
                strange = [error]
        else:
            strange = [error for _, error in self._pointers.follow((digest, digest), [payload])]
        if strange:
            yield malformed(digest, "object", strange[0], level=2)
        elif self._level >= 4:
            yield from _form(digest, kind, payload)

    def _missing(self) -> Iterator[Problem]:
        for owner, target in self._pointers.missing():
            message = f"object {target.hex()} is missing; {owner.hex()} points to it"
            yield Problem(2, "pointer", target.hex(), message, _AGAIN)

    def _opened(self, digest: bytes, env: bytes) -> tuple[str, bytes] | Problem:
        """Returns (kind, payload) of an object whose bytes fit its id; that of a blob in a file is left out."""
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

    def _payloads(self, span: Span) -> Iterator[tuple[bytes, str, bytes]]:
        for page in pages(self._backend, "objects", span[0]):
            for digest, env in page:
                if digest > span[1]:
                    return
                opened = None if named_kind(env) == "blob" else self._opened(digest, env)
                if opened is not None and not isinstance(opened, Problem):
                    yield digest, *opened

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


def pages(backend: Backend, table: str, start: bytes = b"") -> Iterator[list[Row]]:
    """Returns the rows of a table from a key on, in the order of their keys, in pages of a few megabytes whatever
    they hold.

    Each page is a transaction of its own. What is written between two of them may or may not appear.

    Raises:
        StoreDamaged: if a row is met that is not found by its key: the pages above it lead elsewhere.
    """
    rows = _FIRST_ROWS
    while True:
        page = backend.read(lambda txn, at=start, n=rows: _findable(txn, table, at, n))  # type: ignore[misc]
        if page:
            yield page
        if len(page) < rows:
            return
        start = page[-1][0] + b"\0"
        rows = _next_rows(page, rows)


def _findable(txn: ReadTransaction, table: str, start: bytes, limit: int) -> list[Row]:
    page = txn.scan(table, start, limit)
    keys = [key for key, _ in page]
    # In both directions: a search that begins on the right page does not ask the pages above it.
    longest = max(map(len, keys), default=0)
    if longest > KEY_BYTES or any(len(txn.present(table, order)) != len(keys) for order in (keys, keys[::-1])):
        raise StoreDamaged(f"table {table} has rows that are not found by their keys")
    return page


def kinds(backend: Backend, digests: Iterable[bytes]) -> dict[bytes, str]:
    """Returns the kinds of those of the objects that are there."""
    wanted = sorted(set(digests))
    found: dict[bytes, str] = {}
    for start in range(0, len(wanted), _LOOKED_UP):
        found.update(backend.read(lambda txn, some=wanted[start : start + _LOOKED_UP]: _kinds(txn, some)))  # type: ignore[misc]
    return found


def are_all(backend: Backend, kind: str, digests: set[bytes]) -> bool:
    """Returns whether there are objects under all ids, all of a kind of the format. Where it says no, ask `kinds`: what
    is in the trash counts as missing here."""
    plain, wanted = {bytes((codec, KIND_CODES[kind])) for codec in (RAW, ZSTD, IN_FILE)}, sorted(digests)

    def look(txn: ReadTransaction) -> bool:
        heads: set[bytes] = set()
        found = 0
        for rows in _in_steps(txn, wanted):
            heads.update([env[:2] for _, env in rows])
            found += len(rows)
        return found == len(wanted) and heads <= plain

    return backend.read(look)


def _kinds(txn: ReadTransaction, digests: list[bytes]) -> dict[bytes, str]:
    found = {key: named_kind(env) for rows in _in_steps(txn, digests) for key, env in rows}
    if len(found) < len(digests):
        found.update((key, named_kind(env)) for key, env in trash.find(txn, set(digests).difference(found)))
    return found


def _in_steps(txn: ReadTransaction, digests: list[bytes]) -> Iterator[list[Row]]:
    """Returns the rows of objects, a few at a time where they are large."""
    at, rows = 0, _FIRST_ROWS
    while at < len(digests):
        page = txn.get_many("objects", digests[at : at + rows])
        yield page
        at += rows
        rows = _next_rows(page, rows)


def _next_rows(page: list[Row], rows: int) -> int:
    """Returns how many rows to read next. Ids are random, so neighbours are as large as those before."""
    size = sum([len(value) for _, value in page])
    return max(1, min(2 * rows, rows * _PAGE_BYTES // max(size, 1), limits.SCAN_KEYS))


def named_kind(env: bytes) -> str:
    """Returns the kind that an envelope names, for people."""
    try:
        return kind_of(env)
    except StoreDamaged:
        return "damaged object"


def _form(digest: bytes, kind: str, payload: bytes) -> Iterator[Problem]:
    """Returns what is wrong with the form of a payload."""
    try:
        check(kind, payload)
    except MalformedObject as error:
        yield malformed(digest, kind, error, level=4)


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
