"""States of handles as one run sees them, and as the store has them for all runs.

For each line (a handle's name and arguments) a ref `handles/<line>` leads to the states that hold: which they are, of
which others they were made, and when each was written. What is not there does not hold, so a crash costs a repetition
and never a wrong answer. Before a body has the resource of a state, what was made of that state goes: the store is told
first. What of it this run reaches again all the same is put back: those are branches beside the new one.

Refs move by compare-and-swap, so runs of several processes agree. Where one takes back a state that another is at, that
other one's jobs fail rather than work on something else than they were given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeAlias

from redun.core.digest import Digest
from redun.core.errors import CodecError, NotFound, RefMoved
from redun.core.handle_states import CURRENT, Position, Stateful, state_after
from redun.core.objects import How
from redun.core.values import External
from redun.executor.jobs import Job
from redun.store import Store

#: Refs of lines.
HANDLES: Final = "handles/"

Parents: TypeAlias = tuple[bytes, ...]


class Entry(NamedTuple):
    """A state that holds: the number of its writing, and the states that it was made of."""

    number: int
    parents: Parents


class Graph(NamedTuple):
    """The states of a line that hold, as the store has them; `at` is where its ref was."""

    at: Digest | None
    name: str
    next: int
    states: dict[bytes, Entry]


class Line:
    """One line as a run sees it.

    Attributes:
        graph: as read last.
        seen: number of each state when this run met it.
        reached: states that this run has reached, with all that they were made of.
        doubted: what this run has taken out of the store because it goes on from an earlier state, and may reach yet.
        fresh: states that are to be written.
        elsewhere: states in the store that this run has not reached.
    """

    def __init__(self, line: bytes, name: str) -> None:
        self.line = line
        self.name = name
        self.graph = Graph(None, name, 0, {})
        self.seen: dict[bytes, int] = {}
        self.reached: set[bytes] = set()
        self.doubted: dict[bytes, Parents] = {}
        self.fresh: dict[bytes, Parents] = {}
        self.elsewhere: set[bytes] = set()
        self._made_of: dict[bytes, list[bytes]] | None = None

    def take(self, graph: Graph) -> None:
        """Goes on from what was just read."""
        if graph.at != self.graph.at:
            self.graph = graph
            self.elsewhere = graph.states.keys() - self.reached
            self._made_of = None

    def parents(self, state: bytes) -> Parents:
        """Returns what a state was made of."""
        entry = self.graph.states.get(state)
        return entry.parents if entry is not None else self.doubted.get(state) or self.fresh.get(state) or ()

    def holds(self, state: bytes) -> bool:
        """Returns whether a state holds for this run."""
        if state == self.line or state in self.fresh or state in self.doubted:
            return True
        entry = self.graph.states.get(state)
        return entry is not None and self.seen.setdefault(state, entry.number) == entry.number

    def below(self, tops: Iterable[bytes]) -> set[bytes]:
        """Returns what was made of these states, and of that."""
        if self._made_of is None:
            self._made_of = _turned((state, entry.parents) for state, entry in self.graph.states.items())
        others = _turned([*self.doubted.items(), *self.fresh.items()])
        found: set[bytes] = set()
        stack = list(tops)
        while stack:
            state = stack.pop()
            for child in (*self._made_of.get(state, ()), *others.get(state, ())):
                if child not in found:
                    found.add(child)
                    stack.append(child)
        return found

    def reach(self, state: bytes) -> None:
        """This run has come to a state: it, and what it was made of, is on its way."""
        order: list[bytes] = []
        stack = [state]
        while stack:
            state = stack.pop()
            if state not in self.reached:
                self.reached.add(state)
                order.append(state)
                stack += self.parents(state)
        self.elsewhere.difference_update(order)
        for state in order:
            if state in self.doubted:
                self.fresh[state] = self.doubted.pop(state)

    def drop(self, states: set[bytes]) -> None:
        """Forgets states that do not hold any more."""
        self.reached -= states
        for state in states:
            for known in (self.doubted, self.fresh, self.seen):
                known.pop(state, None)


class HandleStates:
    """The states of all handles that a run meets. It belongs to the run's thread.

    Attributes:
        active: whether it has met any.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lines: dict[bytes, Line] = {}
        self._walked: set[Digest] = set()

    @property
    def active(self) -> bool:
        """Whether the run has met handles."""
        return bool(self._lines)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes these the states that handles of this thread ask for meanwhile."""
        before = CURRENT.states
        CURRENT.states = self
        try:
            yield
        finally:
            CURRENT.states = before

    def holds(self, position: Position) -> bool:
        """Returns whether the resource was not rolled back behind these states."""
        line = self._line(position)
        return all(line.holds(state) for state in position.states)

    # -- what a run does ----------------------------------------------------------------------------------------------

    def before(self, job: Job) -> None:
        """A body is about to have the resources of these handles: what was made of their states before goes.

        Raises:
            StoreError: if the store cannot be told.
        """
        for handle in job.handles:
            position = handle.__position__()
            line = self._line(position)
            for state in position.states:
                line.reach(state)
            if not line.fresh.keys().isdisjoint(position.states):
                self._write(line)  # or another run that begins meanwhile could not know, and both would work on it
            assert job.key is not None
            made = state_after(position.states, job.key)
            if line.elsewhere or line.doubted or made in line.reached:
                self._roll_back(line, position.states, [made])

    def reached(self, position: Position) -> None:
        """A body has brought a resource to a new state."""
        line = self._line(position)
        for state in position.states:
            if state in line.reached:
                continue  # it has been told of: by what it awaited, or as part of the same value
            if line.elsewhere or line.doubted:  # by a body that made the handle itself: nobody knew before it ran
                self._roll_back(line, position.parents, [state])
            line.fresh[state] = position.parents
            line.reach(state)

    def returned(self, job: Job) -> None:
        """A body has returned handles: one that ran elsewhere has not told of their states."""
        if job.reduction is None or job.key is None:
            return
        for external in job.reduction.externals:
            if isinstance(external, Stateful):
                position = external.__position__()
                before = [handle.__position__().states for handle in job.handles]
                for states in (*before, (position.line,)):
                    if position.states == (state_after(states, job.key),):
                        self.reached(position._replace(parents=states))

    def answered(self, job: Job, inside: Callable[[Digest, set[Digest]], Iterable[External]]) -> None:
        """A job was answered by the store: what its answer names is reached again.

        Args:
            inside: gives the external values of a footprint, without those of the nodes that the set has.
        """
        found: Iterable[External] = ()
        if job.how is How.WHOLE and job.head is not None:
            found = inside(job.head, self._walked)
        elif job.how is How.STEP and job.reduction is not None:
            found = job.reduction.externals
        for external in found:
            if isinstance(external, Stateful):
                position = external.__position__()
                line = self._line(position)
                for state in position.states:
                    line.reach(state)

    def flush(self) -> None:
        """Writes what was reached; states of which another run has taken back what they were made of are left out.

        Raises:
            StoreError: if the store cannot be written.
        """
        for line in self._lines.values():
            if line.fresh:
                self._write(line)

    # -- the store ----------------------------------------------------------------------------------------------------

    def _write(self, line: Line) -> None:
        self._change(line, lambda graph: _with(graph, line), "reached")
        line.seen.update((s, e.number) for s in line.fresh if (e := line.graph.states.get(s)) is not None)
        line.fresh.clear()

    def _line(self, position: Position) -> Line:
        line = self._lines.get(position.line)
        if line is None:
            line = self._lines[position.line] = Line(position.line, position.name)
        line.take(self._read(line))
        return line

    def _read(self, line: Line) -> Graph:
        at = self._store.ref(HANDLES + line.line.hex())
        if at is None:
            return Graph(None, line.name, line.graph.next, {})
        if at == line.graph.at:
            return line.graph
        try:
            name, number, rows = self._store.get_value(at)
            states = {state: Entry(written, tuple(parents)) for state, written, parents in rows}
        except (CodecError, NotFound, TypeError, ValueError):  # then nothing holds
            return Graph(at, line.name, 1 << 62, {})
        return Graph(at, name, number, states)

    def _roll_back(self, line: Line, at: Parents, made: list[bytes]) -> None:
        """Takes out of the store what is made of `at` and not on this run's way, which may be reached yet, and `made`
        with all that was made of it, which will not hold even then."""
        gone = line.below(made) | set(made)
        doubted = line.below(at) - line.reached - gone
        parents = {state: line.parents(state) for state in doubted}
        if not line.graph.states.keys().isdisjoint(gone | doubted):
            self._change(line, lambda graph: _without(graph, gone | doubted), "rolled back")
        line.drop(gone)
        line.doubted.update(parents)

    def _change(self, line: Line, change: Callable[[Graph], Graph], reason: str) -> None:
        while True:
            graph = self._read(line)
            line.take(graph)
            changed = change(graph)
            if changed.states == graph.states:
                return
            rows = [[state, entry.number, list(entry.parents)] for state, entry in changed.states.items()]
            try:
                with self._store.transaction() as txn:
                    at = txn.put_value([changed.name, changed.next, rows])
                    txn.set_ref(HANDLES + line.line.hex(), at, expected=graph.at, reason=reason)
            except RefMoved:
                continue
            line.take(changed._replace(at=at))
            return


def _turned(pairs: Iterable[tuple[bytes, Parents]]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for state, parents in pairs:
        for parent in parents:
            found[parent].append(state)
    return found


def _parents_first(line: Line, states: Set[bytes]) -> list[bytes]:
    """The states in an order in which each comes after what it was made of."""
    order: dict[bytes, None] = {}
    for top in states:
        stack = [top]
        while stack:
            missing = [parent for parent in line.parents(stack[-1]) if parent in states and parent not in order]
            if missing:
                stack += missing
            else:
                order.setdefault(stack.pop())
    return list(order)


def _without(graph: Graph, gone: set[bytes]) -> Graph:
    return graph._replace(states={state: entry for state, entry in graph.states.items() if state not in gone})


def _with(graph: Graph, line: Line) -> Graph:
    states, number = dict(graph.states), graph.next
    sound = {line.line} | {s for s, entry in states.items() if line.seen.get(s, entry.number) == entry.number}
    for state in _parents_first(line, line.fresh.keys()):
        if sound.issuperset(line.fresh[state]):
            states[state] = Entry(number, line.fresh[state])
            sound.add(state)
            number += 1
    return graph._replace(states=states, next=number)
