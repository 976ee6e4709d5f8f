"""The rows that pages of jobs come to: of their jobs, of the calls that these name, and of the values at the ends of
those."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject, StoreDamaged
from redun.core.frame import KINDS
from redun.core.objects import How, Status, TaskRecord
from redun.store.gc import trash
from redun.store.indexes import layout
from redun.store.indexes.extract import call_ends, inner_calls, job_columns, may_hold, pointers_of
from redun.store.indexes.held_files import HeldFile, held
from redun.store.indexes.layout import CALL_START, ID_START, NO_JOB, START
from redun.store.objects import RAW, Objects, kind_of
from redun.store.ports import Backend

#: Objects that are read in one transaction: each may have a mebibyte.
_STEP: Final = 128
#: States of jobs that few jobs have, which are listed.
LISTED: Final = frozenset({Status.FAILED, Status.CANCELLED, Status.INTERRUPTED})

#: Bytes of a value that is worth remembering, so that it is read once.
_PART: Final = 4096

_INSIDE: Final = (NO_JOB,)
_job_number: Final = layout.job_bytes


class Source:
    """The objects that rows are made of. What was swept and can be had back counts as there, and stays where it is."""

    def __init__(self, backend: Backend, objects: Objects, fmt: ObjectFormat) -> None:
        self.backend: Final = backend
        self.format: Final = fmt
        self._objects = objects

    def read(self, digests: Iterable[bytes]) -> Iterator[tuple[bytes, str, bytes]]:
        """Yields (id, kind, payload) of those of the objects that are there, in the order of ids; blobs without their
        payload. An object that cannot be read is passed over: fsck tells of it."""
        for rows in self._rows(digests):
            for digest, env in rows:
                if env[0] == RAW and env[1] < len(KINDS):  # nearly all
                    yield digest, KINDS[env[1]], env[2:]
                    continue
                opened = self.open(digest, env)
                if opened is not None:
                    yield digest, *opened

    def checked(self, digests: Iterable[bytes]) -> Iterator[tuple[bytes, str, bytes]]:
        """Yields what `read` does, of objects whose bytes fit their ids."""
        for rows in self._rows(digests):
            for digest, env in rows:
                opened = self.open(digest, env)
                if opened is not None:
                    yield digest, *opened

    def _rows(self, digests: Iterable[bytes]) -> Iterator[list[tuple[bytes, bytes]]]:
        wanted = sorted(digests)
        for start in range(0, len(wanted), _STEP):
            some = wanted[start : start + _STEP]
            rows = self.backend.read(lambda txn, some=some: txn.get_many("objects", some))  # type: ignore[misc]
            if len(rows) < len(some):
                gone = set(some).difference(digest for digest, _ in rows)
                rows += self.backend.read(lambda txn, some=gone: trash.find(txn, some))  # type: ignore[misc]
            yield rows

    def open(self, digest: bytes, env: bytes) -> tuple[str, bytes] | None:
        """Returns (kind, payload) of an envelope, whose bytes then fit the id; None where they do not."""
        try:
            if kind_of(env) == "blob":
                return "blob", b""
            kind, payload = self._objects.open(digest, env)
            return kind, bytes(payload)
        except StoreDamaged:
            return None


class Page(NamedTuple):
    """A page of jobs: the number of its first job, the execution it belongs to, and its payload."""

    first: int
    uuid: bytes
    payload: bytes


class Rows:
    """Rows to be written: `sets` by table and key, `names` and `files` as they are."""

    def __init__(self) -> None:
        self.sets: dict[str, dict[bytes, list[bytes]]] = {table: {} for table in layout.SETS}
        self.names: dict[bytes, bytes] = {}
        self.files: dict[bytes, bytes] = {}

    def count(self) -> int:
        """Returns how many there are."""
        return sum(len(rows) for keys in self.sets.values() for rows in keys.values()) + len(self.files)


class Gatherer:
    """Turns pages of jobs into rows.

    Args:
        known: returns those of the calls of which, and of all below which, there are rows already.
    """

    def __init__(self, source: Source, known: Callable[[list[bytes]], set[bytes]]) -> None:
        self._source = source
        self._known = known
        self._size = source.format.size
        self.rows = Rows()
        #: Large values of which there are all rows here.
        self._parts: set[bytes] = set()
        self._of_task: dict[bytes, list[bytes]] = {}
        #: The starts of calls of which there are rows here.
        self._gathered: set[bytes] = set()
        sets = self.rows.sets
        self._calls, self._ids = (
            sets[layout.CALLS].setdefault(layout.ALL, []),
            sets[layout.IDS].setdefault(layout.ALL, []),
        )
        self._results = sets[layout.RESULTS].setdefault(layout.ALL, [])
        self._arguments = sets[layout.ARGUMENTS].setdefault(layout.ALL, [])
        self._holders = sets[layout.HOLDERS].setdefault(layout.ALL, [])

    def add(self, pages: Iterable[Page]) -> None:
        """Adds the rows of pages. Pages that cannot be read have none."""
        jobs: dict[bytes, list[bytes]] = {}
        whole: set[bytes] = set()
        for page in pages:
            self._page(page, jobs, whole)
        calls = list(jobs)
        known = self._all_known(calls)
        inside: set[bytes] = set()
        before = len(self._arguments)
        values = self._some_calls(calls, known, whole, jobs, inside)
        walked = set(calls)
        while inside:
            inside -= walked
            inside -= self._all_known(inside)
            walked |= inside
            deeper: set[bytes] = set()
            values |= self._some_calls(inside, set(), inside, {}, deeper)
            inside = deeper
        lists = self._values(values)
        if lists:
            self._listed_arguments(lists, self._arguments[before:])

    def _all_known(self, calls: Iterable[bytes]) -> set[bytes]:
        """Those of the calls of which there are rows, here or where these will be written."""
        here = self._gathered
        known = {call for call in calls if call[:CALL_START] in here}
        return known | self._known([call for call in calls if call not in known])

    def _page(self, page: Page, jobs: dict[bytes, list[bytes]], whole: set[bytes]) -> None:
        try:
            numbers, calls, statuses, hows = job_columns(page.payload)
        except MalformedObject:
            return
        function, head, ids = self._source.format.hash, b"job " + page.uuid, self._ids
        status_rows = self.rows.sets[layout.STATUS]
        places = range(page.first, page.first + len(numbers))
        for number, place, call, status, how in zip(numbers, places, calls, statuses, hows, strict=True):
            job = _job_number(place)
            ids.append(function(head + number.to_bytes(8, "big"))[:ID_START] + job)
            if call is not None:
                jobs.setdefault(call, []).append(job)
                if how == How.WHOLE:
                    whole.add(call)
            if status in LISTED:
                status_rows.setdefault(bytes((status,)), []).append(job)

    def _some_calls(
        self,
        calls: Iterable[bytes],
        known: set[bytes],
        whole: set[bytes],
        jobs: dict[bytes, list[bytes]],
        inside: set[bytes],
    ) -> set[bytes]:
        """Adds the rows of calls, and to `inside` the calls made by the `whole` ones; returns the values at their
        ends."""
        values: set[bytes] = set()
        size, rows, arguments, results = self._size, self._calls, self._arguments, self._results
        for call, kind, payload in self._source.read(calls):
            if kind != "call":
                continue
            try:
                task, args, result, leaf = call_ends(payload, size)
                made = () if leaf or call in known else inner_calls(payload)
            except MalformedObject:
                continue
            start, front, of_task = call[:START], call[:CALL_START], self._rows_of_task(task)
            for job in jobs.get(call, _INSIDE):
                rows.append(front + job)
                of_task.append(job + start)
            self._gathered.add(front)
            if call in known:
                continue
            if made:
                self._holders += [child[:START] + start for child in made]
                if call in whole:
                    inside.update(made)
            for arg in args:
                values.add(arg)
                arguments.append(arg[:START] + start)
            if result is not None:
                values.add(result)
                results.append(result[:START] + start)
        return values

    def _rows_of_task(self, task: bytes) -> list[bytes]:
        """Where the rows of a task are gathered; nowhere if it cannot be read."""
        found = self._of_task.get(task)
        if found is None:
            found = self._of_task[task] = []
            for _, kind, payload in self._source.read([task]):
                if kind == "task":
                    fullname = TaskRecord.parse(payload).fullname
                    key = layout.task_key(self._source.format.hash, fullname)
                    self.rows.names[key] = fullname.encode()
                    found = self._of_task[task] = self.rows.sets[layout.TASKS].setdefault(key, [])
        return found

    def _values(self, values: set[bytes]) -> dict[bytes, list[Digest]]:
        """Adds what values, and what is inside them, hold; returns what the trees among them list."""
        lists: dict[bytes, list[Digest]] = {}
        seen = values
        size = self._size
        while values:
            inside: set[bytes] = set()
            for digest, kind, payload in self._source.read(values - self._parts):
                if kind == "value" and len(payload) > _PART:  # such as many values may have in common
                    self._parts.add(digest)
                if kind not in ("value", "tree") or not may_hold(payload, size):
                    continue
                pointers = pointers_of(payload)
                self._holders += [pointer[:START] + digest[:START] for pointer in pointers]
                inside.update(pointers)
                if kind == "tree":
                    lists[digest] = pointers
                if kind == "value":
                    self._files_of(digest[:START], payload)
            values = inside - seen
            seen = seen | values
        return lists

    def _files_of(self, start: bytes, payload: bytes) -> None:
        for found in held(payload):
            if isinstance(found, HeldFile):
                path = found.path.encode("utf-8", "surrogatepass")
                self.rows.files[layout.file_key(path, start)] = path
            else:
                base = found.base.encode("utf-8", "surrogatepass")
                self.rows.files[layout.set_key(base, start)] = base

    def _listed_arguments(self, lists: dict[bytes, list[Digest]], arguments: list[bytes]) -> None:
        """Adds the arguments of calls that have so many that a tree, which is then their only argument, lists them."""
        takers: dict[bytes, set[bytes]] = {}
        for row in arguments:
            takers.setdefault(row[:START], set()).add(row[START:])
        waiting = [(tree, takers[tree[:START]]) for tree in lists if tree[:START] in takers]
        while waiting:
            tree, starts = waiting.pop()
            self._arguments += [item[:START] + start for item in lists[tree] for start in starts]
            waiting += [(item, starts) for item in lists[tree] if item in lists]


def known_calls(backend: Backend, calls: list[bytes], horizon: int, *, torn: bool) -> set[bytes]:
    """Returns those of the calls that have rows which were written with all that belongs to them.

    Args:
        horizon: jobs of this number and above may be those of a writer that is not done, or died.
        torn: whether there may be such.
    """
    calls = sorted(calls)
    least, most = (NO_JOB[:-1] + b"\1" if torn else NO_JOB), _job_number(horizon)
    starts = [call[:CALL_START] + least for call in calls]
    found = backend.read(lambda txn: txn.seek_rows(layout.CALLS, layout.ALL, starts))
    return {
        call
        for call, row in zip(calls, found, strict=True)
        if row is not None and row[:CALL_START] == call[:CALL_START] and row[CALL_START:] < most
    }
