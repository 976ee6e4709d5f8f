"""What became of files: the states that they were recorded in, which calls wrote them, and which read them.

A call has written a file where its result holds it in a state in which it did not take it; one that only returned what
a call inside it had given has not. A call has read it where an argument holds it, however deep. Executions that still
run are not in it.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterable, Iterator
from glob import escape
from heapq import merge
from itertools import groupby, islice
from typing import Final, NamedTuple

from redun.core.digest import Digest
from redun.core.objects import CallRecord, How, Outcome
from redun.store.call_graph import CallGraph
from redun.store.indexes.held_files import compared_by
from redun.store.indexes.index import FoundJob, Index
from redun.store.indexes.set_members import Found, SetMembers

#: Jobs of one call that are looked at for one that ran, and calls that led to a call without jobs of its own.
_JOBS: Final = 1000
_CALLERS: Final = 100


class FileState(NamedTuple):
    """A file in one of the states that it was recorded in.

    Attributes:
        path: as recorded.
        state: what it is compared by, of its bytes where the class says nothing else; None where it was missing.
        kind: the class of the value.
        archive: the blob with its bytes, where these were kept.
        executable: whether it could be executed when they were.
        groups: ids of the values that hold it so, those together that hold it in the same part of a set.
    """

    path: str
    state: bytes | None
    kind: str
    archive: Digest | None
    executable: bool
    groups: tuple[tuple[Digest, ...], ...]

    @property
    def values(self) -> tuple[Digest, ...]:
        """Ids of the values that hold it so."""
        return tuple(dict.fromkeys(value for group in self.groups for value in group))


class FileCalls(NamedTuple):
    """The calls that had to do with a file in one state, each once; of those that read it, the ones that handed it on
    to others left out."""

    wrote: tuple[Digest, ...]
    read: tuple[Digest, ...]

    @property
    def mode(self) -> str:
        """`r`, `w` or `rw`; empty where no call is known."""
        return ("r" if self.read else "") + ("w" if self.wrote else "")


class FileHistory:
    """Answers for one store.

    Args:
        graph: reads its calls.
        index: the index of the store.
    """

    def __init__(self, graph: CallGraph, index: Index) -> None:
        self._graph = graph
        self._index = index
        self._sets = SetMembers(index)
        self._around: dict[Digest, frozenset[Digest]] = {}
        self._ends: dict[frozenset[Digest], FileCalls] = {}

    def states(self, pattern: str) -> Iterator[FileState]:
        """Yields the states of all files whose path fits a pattern, as in `Index.files`, in the order of paths."""
        members = sorted(self._sets.fitting(pattern), key=_path)
        singles: Iterator[Found] = (((value,), file) for value, file in self._index.files(pattern))
        for _, found in groupby(merge(singles, members, key=_path), _path):
            yield from _grouped(found)

    def states_of(self, path: str) -> list[FileState]:
        """Returns the states of the file of that path, that with the newest job first."""
        singles = (((value,), file) for value, file in self._index.files(escape(path)) if file.path == path)
        found = _grouped([*singles, *self._sets.at(path)])
        return sorted(found, key=lambda state: -(self.when(state) or 0))

    def calls(self, state: FileState) -> FileCalls:
        """Returns the calls that wrote and read a file in one state."""
        values = frozenset(value for held in state.values for value in self._around_value(held))
        if values not in self._ends:
            self._ends[values] = self._calls(values)
        return self._ends[values]

    def when(self, state: FileState) -> int | None:
        """Returns when a file was last seen in one state, in microseconds since the epoch: by the newest of the jobs
        that wrote it, or else that read it."""
        calls = self.calls(state)
        began = [job.start + job.row.start for job in map(self.job, calls.wrote or calls.read) if job is not None]
        return max(began, default=None)

    def seen_in(self, state: FileState, uuid: bytes) -> int | None:
        """Returns when an execution last wrote or read a file in one state, in microseconds since the epoch; None if it
        did not."""
        found: list[int] = []
        seen = {*self.calls(state).wrote, *self.calls(state).read}
        waiting = list(seen)
        most = len(seen) + _CALLERS
        while waiting and len(seen) < most:
            call = waiting.pop()
            jobs = islice(self._index.jobs_of_call(call), _JOBS)
            began = next((job.start + job.row.start for job in jobs if job.uuid == uuid), None)
            if began is not None:
                found.append(began)
                continue
            callers = set(self._index.callers(call)) - seen  # it may be inside one that was answered whole
            seen |= callers
            waiting += callers
        return max(found, default=None)

    def job(self, call: Digest) -> FoundJob | None:
        """Returns the newest job in which a call ran; else the newest that was answered with it, or with a call that
        made it; None where no execution has one any more."""
        newest: FoundJob | None = None
        for job in islice(self._index.jobs_of_call(call), _JOBS):
            if job.row.how is How.RAN:
                return job
            newest = newest or job
        seen, waiting = {call}, [call]
        while newest is None and waiting and len(seen) < _CALLERS:
            for caller in self._index.callers(waiting.pop()):
                if caller not in seen:
                    seen.add(caller)
                    waiting.append(caller)
                    newest = newest or next(self._index.jobs_of_call(caller), None)
        return newest

    # -- calls --------------------------------------------------------------------------------------------------------

    def _around_value(self, value: Digest) -> frozenset[Digest]:
        """A value and all values around it."""
        if value not in self._around:
            found = {value}
            waiting = [value]
            while waiting:
                outer = set(self._index.containers(waiting.pop())) - found
                found |= outer
                waiting += outer
            self._around[value] = frozenset(found)
        return self._around[value]

    def _calls(self, values: Iterable[Digest]) -> FileCalls:
        took = dict.fromkeys(call for value in sorted(values) for call, _ in self._index.consumers(value))
        gave = dict.fromkeys(call for value in sorted(values) for call in self._index.producers(value))
        wrote = [call for call in gave if call not in took and self._made_it(call, gave)]
        read = [call for call in took if not any(child in took for child in self._children(call))]
        return FileCalls(tuple(wrote), tuple(read))

    def _made_it(self, call: Digest, gave: dict[Digest, None]) -> bool:
        record = self._graph.call(call)
        return (
            record is not None
            and record.outcome is Outcome.VALUE
            and not any(child in gave for child in _children(record))
        )

    def _children(self, call: Digest) -> Iterable[Digest]:
        record = self._graph.call(call)
        return () if record is None else _children(record)


def _children(record: CallRecord) -> Iterator[Digest]:
    return (child for child in (*record.children, *record.extras) if child is not None)


def _path(found: Found) -> str:
    return found[1].path


def _grouped(found: Iterable[Found]) -> list[FileState]:
    """The states that a file of one path was found in."""
    states: dict[tuple[bytes | None, str], FileState] = {}
    for values, file in found:
        by = compared_by(file.kind)
        known = states.get((file.state, by))
        if known is None:
            states[file.state, by] = FileState(*file, (values,))
            continue
        if known.archive is None:
            known = known._replace(archive=file.archive, executable=file.executable)
        states[file.state, by] = known._replace(groups=(*known.groups, values))
    return list(states.values())
