"""Lineage: which calls a value came from, and what came of it, through whole histories.

Nothing is guessed from equal values: the children of a call stand in the order of the calls in its reduction, so what
an argument was made of is found in the expression of the call that made the call. A call is one node however many
executions had it; where several calls made it, what each of them gave it counts.

Followed are: results handed on by whoever returned them, items taken out of results, containers that were put together
of several results, arguments handed on, whole or in part, and large values that others point to. Where a value begins,
in code or outside, is said.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from redun.core.digest import Digest
from redun.core.expression_table import Table, node_numbers
from redun.core.objects import CallRecord, Outcome
from redun.store.call_graph import CallGraph
from redun.store.indexes.index import Index
from redun.store.origins import DEFAULT, Origin, argument_item, origin_of
from redun.store.problems import Progress, no_progress

if TYPE_CHECKING:
    from redun.store.store import Store

#: Inputs of one step that are named, and calls named for one input; all are followed.
_INPUTS: Final = 50
_MAKERS: Final = 5
#: Callers of one call that are looked at: who makes the same call from more places has no use for all of them.
_CALLERS: Final = 1000
#: Calls in expressions that are kept with who answers what; the one at hand is, however large.
_KEPT: Final = 100_000
_START: Final = 8
#: In the place of an argument: the result that a call put together.
_RESULT: Final = -1


class Input(NamedTuple):
    """Something that a call took.

    Attributes:
        name: the parameter; empty for a part of what the call put together.
        value: what it was, where that is one value.
        makers: the first of the calls that gave it, or that it was made of.
        total: how many these are.
        origin: where it begins, if no call gave it: `given` (from outside), `code` (written in the code of a caller),
            `default`, or `unknown` (what led there is not recorded).
    """

    name: str
    value: Digest | None
    makers: tuple[Digest, ...] = ()
    total: int = 0
    origin: str = ""


class LineageStep(NamedTuple):
    """A call on the way.

    Attributes:
        depth: how many calls away from where one began; 0 for those that gave, or took, the value itself.
        call, fullname: the call, and the name of its task; None where that is missing.
        result: what it gave; None if it has not ended.
        inputs: up: what it took, or put together. Down: that of what it took through which it was reached; nothing for
            one that put what calls gave together as its result.
        hidden: how many more inputs there are.
    """

    depth: int
    call: Digest
    fullname: str | None
    result: Digest | None
    inputs: tuple[Input, ...]
    hidden: int = 0


class _Argument(NamedTuple):
    call: Digest
    place: int


class _Call(NamedTuple):
    call: Digest


class _Value(NamedTuple):
    value: Digest


_Work: TypeAlias = _Argument | _Call | _Value


class _Known:
    """Ids that were met, by their first bytes."""

    def __init__(self) -> None:
        self._starts: set[int] = set()

    def add(self, digest: bytes, place: int = -1) -> bool:
        """Returns whether it is new."""
        start = int.from_bytes(digest[:_START], "big") + (place + 1 << 8 * _START)
        before = len(self._starts)
        self._starts.add(start)
        return len(self._starts) > before


class _Frontier:
    """Ids of calls that wait for their turn, in order: a few bytes each, for there may be a million."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._bytes = bytearray()

    def add(self, digest: bytes) -> None:
        """Adds one."""
        self._bytes += digest

    def __iter__(self) -> Iterator[Digest]:
        for at in range(0, len(self._bytes), self._size):
            yield Digest(bytes(self._bytes[at : at + self._size]))

    def __len__(self) -> int:
        return len(self._bytes) // self._size


def lineage(
    store: "Store", start: Digest, *, up: bool = True, depth: int | None = None, progress: Progress = no_progress
) -> Iterator[LineageStep]:
    """See `Store.lineage`."""
    graph, index = CallGraph(store), store.index(progress=progress)
    is_call = graph.call(start) is not None
    if up:
        return _Up(graph, index).steps(_Call(start) if is_call else _Value(start), depth)
    return _Down(graph, index).steps(start, depth, is_call=is_call)


class _Reduction:
    """What a call came down to: its record, its expression, and which of its calls answers which node."""

    def __init__(self, call: Digest, record: CallRecord, table: Table) -> None:
        self.call = call
        self.record = record
        self.table = table
        self.children: dict[int, Digest | None] = dict(zip(table.calls(), record.children, strict=False))
        self.nodes: dict[Digest, list[int]] = {}
        for node, child in self.children.items():
            if child is not None:
                self.nodes.setdefault(child, []).append(node)
        self._users: dict[int, list[int]] | None = None

    @property
    def users(self) -> dict[int, list[int]]:
        """Of each node, those that take what it gives; `_RESULT` is the result of the whole."""
        if self._users is None:
            self._users = {}
            for node in self.children:
                _, _, args, kwargs, _ = self.table.node(node)
                for used in _calls_in(self.table, [args, kwargs]):
                    self._users.setdefault(used, []).append(node)
            for used in _calls_in(self.table, self.table.root):
                self._users.setdefault(used, []).append(_RESULT)
        return self._users


class _Calls:
    """What both directions read."""

    def __init__(self, graph: CallGraph, index: Index) -> None:
        self.graph = graph
        self.index = index
        self._kept: OrderedDict[Digest, _Reduction] = OrderedDict()

    def reduction(self, call: Digest) -> _Reduction | None:
        """Returns what a call came down to; None where it returned a plain value, or is missing."""
        found = self._kept.get(call)
        if found is not None:
            return found
        record = self.graph.call(call)
        table = self.graph.table(record)
        if record is None or table is None:
            return None
        found = _Reduction(call, record, table)
        self._kept[call] = found
        while len(self._kept) > 1 and sum(len(other.children) for other in self._kept.values()) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def places(self, call: Digest) -> Iterator[tuple[_Reduction, int]]:
        """Yields (caller, the node there) of each place where a call was made."""
        for caller in islice(self.index.callers(call), _CALLERS):
            reduction = self.reduction(caller)
            if reduction is not None:
                yield from ((reduction, node) for node in reduction.nodes.get(call, ()))

    def origin_of(self, reduction: _Reduction) -> Origin:
        """Returns where the result of an expression came from."""
        return origin_of(self.graph, reduction.record, reduction.table, reduction.table.root, reduction.record.result)


# -- up ---------------------------------------------------------------------------------------------------------------


class _Up(_Calls):
    """Walks from a value to the calls that it came from, nearest first."""

    def steps(self, start: _Work, most: int | None) -> Iterator[LineageStep]:
        known = _Known()
        frontier = self._fresh([start], known, _Input())
        depth = 0
        while frontier and (most is None or depth <= most):
            following = _Frontier(self.graph.store.format.size)
            for call in frontier:
                yield self._step(depth, call, known, following)
            frontier = following
            depth += 1

    def _fresh(self, works: Iterable[_Work], known: _Known, told: "_Input") -> _Frontier:
        found = _Frontier(self.graph.store.format.size)
        for work in works:
            self._follow(work, known, found, told)
        return found

    def _follow(self, work: _Work, known: _Known, into: _Frontier, told: "_Input") -> None:
        for maker in self._makers(work, told):
            told.met(maker)
            if known.add(maker):
                into.add(maker)

    def _step(self, depth: int, call: Digest, known: _Known, following: _Frontier) -> LineageStep:
        graph = self.graph
        record = graph.call(call)
        if record is None:
            return LineageStep(depth, call, None, None, ())
        inputs: list[Input] = []
        hidden = 0
        for name, value, work in self._inputs(call, record):
            told = _Input()
            self._follow(work, known, following, told)
            if len(inputs) < _INPUTS:
                inputs.append(told.input(name, value))
            else:
                hidden += 1
        return LineageStep(depth, call, graph.task_name(call), record.result, tuple(inputs), hidden)

    def _inputs(self, call: Digest, record: CallRecord) -> Iterator[tuple[str, Digest | None, _Work]]:
        """What a call made its result of: the parts that it put together, or its arguments."""
        arguments = self.graph.arguments(record)
        reduction = self.reduction(call)
        if reduction is not None and record.outcome is Outcome.VALUE:
            origin = self.origin_of(reduction)
            for node in origin.nodes:
                child = reduction.children.get(node)
                if child is not None:
                    made = self.graph.call(child)
                    yield "", None if made is None else made.result, _Call(child)
            for place in origin.arguments:
                yield arguments[place].name, arguments[place].value, _Argument(call, place)
            if origin.nodes or origin.arguments:
                return
        for place, argument in enumerate(arguments):
            yield argument.name, argument.value, _Argument(call, place)

    def _makers(self, work: _Work, told: "_Input") -> Iterator[Digest]:
        """The calls that made something in their own code or put it together, those that only handed it on left out."""
        seen: set[_Work] = set()
        stack = [work]
        while stack:
            work = stack.pop()
            if work in seen:
                continue
            seen.add(work)
            if isinstance(work, _Call):
                following = self._from_call(work.call)
                if following is None:
                    yield work.call
                else:
                    stack.append(following)
            elif isinstance(work, _Argument):
                stack += reversed(list(self._from_argument(work, told)))
            else:
                yield from self._from_value(work.value, stack, told)

    def _from_value(self, value: Digest, stack: list[_Work], told: "_Input") -> Iterator[Digest]:
        made = False
        for call in self.index.producers(value):
            made = True
            following = self._from_call(call)
            if following is None:
                yield call
            else:
                stack.append(following)
        if made:
            return
        # no call gave it as it is: it was taken out of something, or is part of something large
        stack += [_Argument(call, place) for call, place in islice(self.index.consumers(value), _CALLERS)]
        stack += [_Value(holder) for holder in islice(self.index.containers(value), _CALLERS)]
        if not stack:
            told.begins("unknown")

    def _from_call(self, call: Digest) -> _Work | None:
        """Where a call had its result from; None if it made it."""
        reduction = self.reduction(call)
        if reduction is None:
            return None
        record, children = reduction.record, reduction.children
        if record.outcome is not Outcome.VALUE:
            gave = record.outcome, record.result
            for child in reduction.nodes:
                inner = self.graph.call(child)
                if inner is not None and (inner.outcome, inner.result) == gave:
                    return _Call(child)
            return None
        origin = self.origin_of(reduction)
        if origin.node is not None:
            found = children.get(origin.node)
            return None if found is None else _Call(found)
        return None if origin.argument is None else _Argument(call, origin.argument)

    def _from_argument(self, work: _Argument, told: "_Input") -> Iterator[_Work]:
        """Where an argument came from, at each place where its call was made."""
        mine = self.graph.arguments(self._record(work.call))
        made = False
        for caller, node in self.places(work.call):
            made = True
            item = argument_item(caller.table.node(node), mine, work.place)
            if item is DEFAULT:
                told.begins("default")
                continue
            argument = mine[work.place]
            origin = origin_of(self.graph, caller.record, caller.table, item, argument.value, prefer=argument.name)
            yield from self._of_origin(origin, caller, told)
        if not made:
            told.begins("given")

    def _of_origin(self, origin: Origin, caller: _Reduction, told: "_Input") -> Iterator[_Work]:
        if origin == Origin():
            told.begins("code")
        for node in origin.nodes if origin.node is None else (origin.node,):
            child = caller.children.get(node)
            if child is None:
                told.begins("unknown")
            else:
                yield _Call(child)
        for place in origin.arguments if origin.argument is None else (origin.argument,):
            yield _Argument(caller.call, place)

    def _record(self, call: Digest) -> CallRecord:
        record = self.graph.call(call)
        assert record is not None, "only calls that are there have arguments to follow"
        return record


class _Input:
    """What is found out of an input while its makers are followed."""

    def __init__(self) -> None:
        self._makers: list[Digest] = []
        self._total = 0
        self._origin = ""

    def met(self, maker: Digest) -> None:
        self._total += 1
        if len(self._makers) < _MAKERS:
            self._makers.append(maker)

    def begins(self, where: str) -> None:
        self._origin = self._origin or where

    def input(self, name: str, value: Digest | None) -> Input:
        return Input(name, value, tuple(self._makers), self._total, self._origin)


# -- down -------------------------------------------------------------------------------------------------------------


class _Down(_Calls):
    """Walks from a value to the calls that took it, and to those that took what these gave, nearest first."""

    def steps(self, start: Digest, most: int | None, *, is_call: bool) -> Iterator[LineageStep]:
        shown, followed = _Known(), _Known()
        taken: Iterable[_Argument] = self._of_result(start) if is_call else self._of_value(start)
        depth = 0
        while most is None or depth <= most:
            frontier: list[Digest] = []
            arguments: dict[Digest, list[int]] = {}
            for call, place in taken:
                if followed.add(call, place):
                    arguments.setdefault(call, []).append(place)
            for call, places in arguments.items():
                if shown.add(call):
                    frontier.append(call)
                    yield self._step(depth, call, places)
            if not arguments:
                return
            taken = self._next(frontier, arguments)
            depth += 1

    def _step(self, depth: int, call: Digest, places: list[int]) -> LineageStep:
        record = self.graph.call(call)
        given = [] if record is None else self.graph.arguments(record)
        inputs = tuple([Input(given[place].name, given[place].value) for place in places if 0 <= place < len(given)])
        result = None if record is None else record.result
        return LineageStep(
            depth, call, self.graph.task_name(call), result, inputs[:_INPUTS], max(len(inputs) - _INPUTS, 0)
        )

    def _next(self, frontier: list[Digest], arguments: dict[Digest, list[int]]) -> Iterator[_Argument]:
        for call, places in arguments.items():
            yield from self._handed_on(call, places)
        for call in frontier:
            yield from self._of_result(call)

    def _of_value(self, value: Digest) -> Iterator[_Argument]:
        seen: set[Digest] = set()
        stack = [value]
        while stack:
            value = stack.pop()
            if value in seen:
                continue
            seen.add(value)
            yield from (_Argument(call, place) for call, place in self.index.consumers(value))
            for call in self.index.producers(value):
                yield from self._of_result(call)
            stack += self.index.containers(value)

    def _of_result(self, call: Digest) -> Iterator[_Argument]:
        """Who took what a call gave, whole or in part, also by way of those who returned it."""
        seen = {call}
        stack = [call]
        while stack:
            call = stack.pop()
            for caller, node in self.places(call):
                users = caller.users.get(node, ())
                for user in users:
                    yield from self._arguments_with(caller, user, node)
                if _RESULT not in users or caller.call in seen:
                    continue
                seen.add(caller.call)
                if self.origin_of(caller).node == node:
                    stack.append(caller.call)
                else:
                    yield _Argument(caller.call, _RESULT)

    def _arguments_with(self, caller: _Reduction, user: int, node: int) -> Iterator[_Argument]:
        call = caller.children.get(user)
        record = self.graph.call(call)
        if call is None or record is None:
            return
        arguments = self.graph.arguments(record)
        for index in range(len(arguments)):
            item = argument_item(caller.table.node(user), arguments, index)
            if item is not DEFAULT and node in _calls_in(caller.table, item):
                yield _Argument(call, index)

    def _handed_on(self, call: Digest, places: list[int]) -> Iterator[_Argument]:
        """The calls to which a call handed on arguments of its own, whole or in part."""
        reduction = self.reduction(call)
        if reduction is None:
            return
        record, table = reduction.record, reduction.table
        for node, child in reduction.children.items():
            inner = self.graph.call(child)
            if child is None or inner is None:
                continue
            arguments = self.graph.arguments(inner)
            for index, argument in enumerate(arguments):
                item = argument_item(table.node(node), arguments, index)
                if item is DEFAULT:
                    continue
                origin = origin_of(self.graph, record, table, item, argument.value, prefer=argument.name)
                if origin.argument in places or any(place in places for place in origin.arguments):
                    yield _Argument(child, index)


def _calls_in(table: Table, item: object) -> set[int]:
    """The calls that an item was made of, through operations."""
    found: set[int] = set()
    seen: set[int] = set()
    stack = list(node_numbers(item))
    while stack:
        number = stack.pop()
        if number in seen:
            continue
        seen.add(number)
        op, _, args, kwargs, _ = table.node(number)
        if op == 0:
            found.add(number)
        else:
            stack += node_numbers([args, kwargs])
    return found
