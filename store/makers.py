"""Which tasks made some objects: their calls gave them, or a value around them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

from redun.core import limits
from redun.core.codec import POINTER_HEADS
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject, NotFound
from redun.core.frame import KIND_CODES
from redun.core.objects import CallRecord, TaskRecord
from redun.store.objects import RAW, Objects
from redun.store.ports import Backend
from redun.store.problems import Progress

#: Kinds by which a value is part of another, and that of calls.
_AROUND: Final = frozenset(KIND_CODES[kind] for kind in ("value", "tree"))
_CALL: Final = KIND_CODES["call"]
#: Rows of the first page, and bytes that a page should have.
_FIRST_ROWS: Final = 64
_PAGE_BYTES: Final = 4 * limits.MIB

Row = tuple[bytes, bytes]


def makers(
    backend: Backend, objects: Objects, fmt: ObjectFormat, wanted: Collection[bytes], progress: Progress
) -> dict[bytes, tuple[str, ...]]:
    """Returns the full names of the tasks whose calls gave each object, or a value or list that it is part of.

    Raises:
        StoreDamaged: if an object that leads there does not fit its id.
    """
    holders = {digest: {digest} for digest in wanted}  # what stands for which of them: itself, and what it is part of
    calls: list[Row] = []
    look = _Look(backend, objects, fmt, progress)
    for digest, payload, code in look.leading_to(wanted, _AROUND | {_CALL}):
        if code == _CALL:
            calls.append((digest, payload))
        else:
            holders.setdefault(digest, set()).update(target for target in wanted if target in payload)
    around = holders.keys() - set(wanted)
    if around:
        calls += [(digest, payload) for digest, payload, _ in look.leading_to(around, {_CALL})]
    found: dict[bytes, set[str]] = {}
    names: dict[Digest, str] = {}
    for _, payload in calls:
        try:
            call = CallRecord.parse(payload)
        except MalformedObject:
            continue
        for target in holders.get(call.result or b"", ()):
            found.setdefault(target, set()).add(_name(backend, objects, call.task, names))
    return {digest: tuple(sorted(fullnames)) for digest, fullnames in found.items()}


class _Look:
    """Looks through the objects of some kinds, page by page: nearly none of them leads to what is looked for."""

    def __init__(self, backend: Backend, objects: Objects, fmt: ObjectFormat, progress: Progress) -> None:
        self._backend = backend
        self._objects = objects
        self._head = re.escape(POINTER_HEADS[fmt.size])
        self._progress = progress
        self._total = backend.read(lambda txn: txn.count("objects"))

    def leading_to(self, wanted: Collection[bytes], codes: Collection[int]) -> Iterator[tuple[bytes, bytes, int]]:
        """Returns (id, payload, code of the kind) of the objects of some kinds that point to any of the wanted ones."""
        leads = re.compile(self._head + b"(?:%b)" % b"|".join(map(re.escape, sorted(wanted))), re.DOTALL).search
        done = 0
        for page in self._pages():
            some = [(digest, env) for digest, env in page if len(env) > 1 and env[1] in codes]
            packed = [row for row in some if row[1][0] != RAW]
            # One search through all of them: an object on its own is searched only where something was found.
            if leads(b"".join([env for _, env in some])):
                yield from self._found([row for row in some if row[1][0] == RAW and leads(row[1])], leads)
            if packed:
                yield from self._found(packed, leads)
            done += len(page)
            self._progress("makers", done, max(self._total, done))

    def _found(
        self, rows: list[Row], leads: Callable[[bytes], re.Match[bytes] | None]
    ) -> Iterator[tuple[bytes, bytes, int]]:
        for digest, env in rows:
            payload = bytes(self._objects.open(digest, env)[1])
            if leads(payload):
                yield digest, payload, env[1]

    def _pages(self) -> Iterator[list[Row]]:
        start, rows = b"", _FIRST_ROWS
        while True:
            page = self._backend.read(lambda txn, at=start, n=rows: txn.scan("objects", at, n))  # type: ignore[misc]
            yield page
            if len(page) < rows:
                return
            start = page[-1][0] + b"\0"
            size = sum(len(env) for _, env in page)
            rows = max(1, min(2 * rows, rows * _PAGE_BYTES // max(size, 1), limits.SCAN_KEYS))


def _name(backend: Backend, objects: Objects, task: Digest, names: dict[Digest, str]) -> str:
    if task not in names:
        env = backend.read(lambda txn: txn.get("objects", task))
        try:
            if env is None:
                raise NotFound("")
            names[task] = TaskRecord.parse(bytes(objects.open(task, env)[1])).fullname
        except (NotFound, MalformedObject):
            names[task] = task.hex()
    return names[task]
