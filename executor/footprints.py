"""Footprints: what a call's whole subtree depended on, gathered while jobs end (CACHING.md section 4).

Nearly all jobs of a run share a few sets of tasks, so sets are interned and their unions remembered: a million jobs
cost a million look-ups. External values form a DAG with one node a call that adds something; flat sets would grow with
the square of a chain's length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from redun.core.digest import Digest
from redun.core.objects import ExtRecord, Flag, HeadRecord, TaskSetRecord

Put = Callable[[str, bytes], Digest]
#: (full name, task id, ((parameter, id of its applied default), ...))
#: (path of the context, id of the value there or None), sorted.
Reads = tuple[tuple[str, Digest | None], ...]
Entry = tuple[str, Digest, tuple[tuple[str, Digest], ...]]


class TaskSet:
    """An interned set of tasks: equal sets are one object."""

    __slots__ = ("absorbed", "digest", "entries")

    def __init__(self, entries: frozenset[Entry]) -> None:
        self.entries = entries
        #: Sets known to be part of this one: the usual answer to a union.
        self.absorbed: set[int] = {id(self)}
        self.digest: Digest | None = None


class Footprints:
    """Makes the footprint objects of one run."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._sets: dict[frozenset[Entry], TaskSet] = {}
        self._singles: dict[tuple[Digest, tuple[tuple[str, Digest], ...]], TaskSet] = {}
        self._unions: dict[tuple[int, int], TaskSet] = {}
        self._heads: dict[tuple[Digest, Digest | None, tuple[Flag, ...], Reads], Digest] = {}
        self._exts: dict[ExtRecord, Digest] = {}
        #: Nodes that have one value and nothing else: it, and whether a body made it.
        self._simple: dict[Digest, tuple[Digest, int]] = {}

    def single(self, fullname: str, task: Digest, defaults: tuple[tuple[str, Digest], ...]) -> TaskSet:
        """Returns the set of one task with the defaults that its call applied."""
        found = self._singles.get((task, defaults))
        if found is None:
            found = self._singles[task, defaults] = self._intern(frozenset({(fullname, task, defaults)}))
        return found

    def union(self, a: TaskSet, b: TaskSet) -> TaskSet:
        """Returns the set of all tasks of both."""
        if id(b) in a.absorbed:
            return a
        if id(a) in b.absorbed:
            return b
        found = self._unions.get((id(a), id(b)))
        if found is None:
            found = self._unions[id(a), id(b)] = self._intern(a.entries | b.entries)
            found.absorbed.update((id(a), id(b)))
        return found

    def known(self, record: TaskSetRecord, digest: Digest) -> TaskSet:
        """Returns the set that a recorded footprint holds."""
        found = self._intern(frozenset(record.tasks))
        found.digest = digest
        return found

    def _intern(self, entries: frozenset[Entry]) -> TaskSet:
        found = self._sets.get(entries)
        if found is None:
            found = self._sets[entries] = TaskSet(entries)
        return found

    def ext(
        self,
        own: Iterable[Digest],
        children: Iterable[Digest],
        barriers: Iterable[tuple[str, Digest]],
        wrote: frozenset[Digest] = frozenset(),
        past: tuple[Digest, ...] = (),
    ) -> Digest | None:
        """Returns the node of a call's external values; None where there are none. A node that would add nothing to its
        one child is that child. `wrote`: those that the body has made."""
        values = dict.fromkeys(own)
        if wrote:
            values = dict.fromkeys((*(value for value in values if value in wrote), *values))
        below = dict.fromkeys(children)
        ahead = tuple(dict.fromkeys(barriers))
        if not (values or ahead or past) and len(below) < 2:
            return next(iter(below), None)
        simple = self._simple
        leaves: tuple[list[Digest], list[Digest]] = [], []
        for child in below:
            leaf = simple.get(child)
            if leaf is not None:
                leaves[leaf[1]].append(leaf[0])
        node = ExtRecord(
            tuple(values),
            tuple([child for child in below if child not in simple]) if leaves[0] or leaves[1] else tuple(below),
            ahead,
            sum(value in wrote for value in values) if wrote else 0,
            past,
            *map(tuple, leaves),
        )
        found = self._exts.get(node)
        if found is None:
            found = self._exts[node] = self._put("footprint", node.payload())
            self.known_node(found, node)
        return found

    def known_node(self, digest: Digest, node: ExtRecord) -> None:
        """Takes a node that has been made or read: one of a single value stands in others as that value."""
        if len(node.own) == 1 and not any(node[1:3]) and not any(node[4:]):
            self._simple[digest] = node.own[0], node.made

    def head(self, tasks: TaskSet, ext: Digest | None, flags: tuple[Flag, ...], context: Reads = ()) -> Digest:
        """Returns the id of a footprint's head."""
        if tasks.digest is None:
            tasks.digest = self._put("footprint", TaskSetRecord(tuple(sorted(tasks.entries))).payload())
        found = self._heads.get((tasks.digest, ext, flags, context))
        if found is None:
            record = HeadRecord(tasks=tasks.digest, flags=flags, context=context, ext=ext)
            found = self._heads[tasks.digest, ext, flags, context] = self._put("footprint", record.payload())
        return found
