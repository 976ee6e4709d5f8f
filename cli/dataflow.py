"""Where a result came from: a walk up the stored graph.

A call's children stand in the order of the calls in its reduction, so each argument is found in the expression of the
parent: it is what a sibling call gave, or something made of what several gave, or an argument of the parent handed on,
or it begins there. Nothing is guessed from names; an argument counts as handed on when it is the very value (by id).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from redun.cli.graph import Graph
from redun.core.digest import Digest
from redun.core.expression_table import Table
from redun.core.forms import printable
from redun.core.objects import CallRecord, Outcome
from redun.store.origins import DEFAULT, Origin, argument_item, origin_of

#: Variables explained before the rest is left to further commands, steps of one, and parts of one `derives from`.
_BLOCKS: Final = 100
_STEPS: Final = 30
_PARTS: Final = 20


class Frame:
    """A call in its place: the node of the parent's reduction that it answers, and the parent in its own place."""

    __slots__ = ("call", "children", "node", "parent")

    def __init__(self, call: Digest, parent: Frame | None = None, node: int | None = None) -> None:
        self.call = call
        self.parent = parent
        self.node = node
        self.children: dict[int, Frame] = {}

    def child(self, node: int, call: Digest) -> Frame:
        """Returns the frame of the call that answers a node of this call's reduction, one object for each node."""
        found = self.children.get(node)
        if found is None:
            found = self.children[node] = Frame(call, self, node)
        return found


class Variable(NamedTuple):
    """A name in the dataflow, and the id of its value."""

    name: str
    value: Digest | None


class Step(NamedTuple):
    """One `<--` of a variable.

    `how`: `call` (what this call gave), `argument` (handed on by this call; `part`: taken out of it), `derives` (made
    of the inputs), `origin` (it begins here), `unrecorded` (a call that is not in the store, or has not ended), `more`
    (not followed any further). `names`: the call's variables, or the parameter that was handed on.
    """

    how: str
    call: Digest | None = None
    task: str = ""
    names: tuple[str, ...] = ()


class Block(NamedTuple):
    """How a variable came about: its steps, and the variables that the last one takes; `hidden` more are not shown."""

    name: str
    steps: tuple[Step, ...]
    inputs: tuple[Variable, ...] = ()
    hidden: int = 0


class Dataflow(NamedTuple):
    """The upstream dataflow of one variable; `cut` when it goes on further than shown."""

    subject: Variable
    blocks: tuple[Block, ...]
    cut: bool = False


def dataflow(graph: Graph, name: str, frame: Frame) -> Dataflow:
    """Returns the upstream dataflow of what a call gave, under that name."""
    return _Tracer(graph).trace(name, frame)


class _Argument(NamedTuple):
    """The argument of a call in its place."""

    frame: Frame
    position: int


_Inputs: TypeAlias = list[tuple[str, Frame | _Argument]]
"""Names of variables and what they stand for."""


class _Tracer:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._names: dict[str, int] = {}
        self._taken: set[str] = set()
        self._expanded: dict[Frame, tuple[str, ...]] = {}
        self._waiting: deque[tuple[str, Frame | _Argument]] = deque()

    def trace(self, name: str, frame: Frame) -> Dataflow:
        call = self._graph.call(frame.call)
        subject = Variable(self._unique(name), None if call is None else call.result)
        self._waiting.append((subject.name, frame))
        blocks: list[Block] = []
        while self._waiting and len(blocks) < _BLOCKS:
            variable, what = self._waiting.popleft()
            blocks.append(self._block(variable, what))
        return Dataflow(subject, tuple(blocks), cut=bool(self._waiting))

    def _unique(self, name: str) -> str:
        name = printable(name)
        while True:
            count = self._names[name] = self._names.get(name, 0) + 1
            chosen = name if count == 1 else f"{name}_{count}"
            if chosen not in self._taken:
                self._taken.add(chosen)
                return chosen

    def _block(self, name: str, what: Frame | _Argument) -> Block:
        steps: list[Step] = []
        while len(steps) < _STEPS:
            following = self._from_call(what, steps) if isinstance(what, Frame) else self._from_argument(what, steps)
            if isinstance(following, list):
                return self._end(name, steps, following)
            what = following
        return Block(name, (*steps, Step("more")))

    def _end(self, name: str, steps: list[Step], inputs: _Inputs) -> Block:
        shown = inputs[:_PARTS] if steps[-1].how == "derives" else inputs
        self._waiting.extend(shown)
        variables = tuple(Variable(variable, self._value(what)) for variable, what in shown)
        return Block(name, tuple(steps), variables, len(inputs) - len(shown))

    def _value(self, what: Frame | _Argument) -> Digest | None:
        call = self._graph.call(what.call if isinstance(what, Frame) else what.frame.call)
        if call is None:
            return None
        return call.result if isinstance(what, Frame) else self._graph.arguments(call)[what.position].value

    # -- what a call gave ---------------------------------------------------------------------------------------------

    def _from_call(self, frame: Frame, steps: list[Step]) -> Frame | _Argument | _Inputs:
        graph = self._graph
        call = graph.call(frame.call)
        table = graph.table(call)
        if call is None or table is None:
            return self._made_by(frame, call, steps)
        params = tuple(printable(argument.name) for argument in graph.arguments(call))
        route = Step("call", frame.call, graph.name(call), params)
        if call.outcome is Outcome.RAISED:
            culprit = self._culprit(frame, call, table)
            if culprit is None:
                return self._made_by(frame, call, steps)
            steps.append(route)
            return culprit
        origin = origin_of(graph, call, table, table.root, call.result)
        if origin == Origin():
            return self._made_by(frame, call, steps)
        steps.append(route)
        return self._followed(frame, call, table, origin, steps)

    def _culprit(self, frame: Frame, call: CallRecord, table: Table) -> Frame | None:
        """The call in a failed call's reduction that raised the same error."""
        for node, digest in zip(table.calls(), call.children, strict=False):
            child = self._graph.call(digest)
            if digest is not None and child is not None and _gave(child) == _gave(call):
                return frame.child(node, digest)
        return None

    def _followed(
        self, frame: Frame, call: CallRecord, table: Table, origin: Origin, steps: list[Step]
    ) -> Frame | _Argument | _Inputs:
        """What comes next for something in the reduction of a frame's call."""
        calls = dict(zip(table.calls(), call.children, strict=False))
        if origin.argument is not None:
            param = printable(self._graph.arguments(call)[origin.argument].name)
            how = "part" if origin.part else "argument"
            steps.append(Step(how, frame.call, self._graph.name(call), (param,)))
            return _Argument(frame, origin.argument)
        if origin.node is not None:
            child = calls.get(origin.node)
            if child is None:
                steps.append(Step("unrecorded"))
                return []
            return frame.child(origin.node, child)
        parts: list[Frame | _Argument] = []
        for node in origin.nodes:
            child = calls.get(node)
            if child is not None:
                parts.append(frame.child(node, child))
        parts += [_Argument(frame, position) for position in origin.arguments]
        steps.append(Step("derives" if parts else "unrecorded" if origin.nodes else "origin"))
        return self._parts(parts)

    def _made_by(self, frame: Frame, call: CallRecord | None, steps: list[Step]) -> _Inputs:
        known = self._expanded.get(frame)
        arguments = [] if call is None else self._graph.arguments(call)
        names = known or tuple(self._unique(argument.name) for argument in arguments)
        self._expanded[frame] = names
        steps.append(Step("call", frame.call, self._graph.name(call), names))
        if not arguments:
            steps.append(Step("origin"))
        if known:  # its arguments were listed where it was met first
            return []
        return [(name, _Argument(frame, index)) for index, name in enumerate(names)]

    def _parts(self, parts: list[Frame | _Argument]) -> _Inputs:
        named: _Inputs = []
        for part in parts[:_PARTS]:
            if isinstance(part, Frame):
                name = f"{self._graph.name(self._graph.call(part.call))}_result"
            else:
                call = self._graph.call(part.frame.call)
                name = "" if call is None else self._graph.arguments(call)[part.position].name
            named.append((self._unique(name), part))
        return [*named, *(("", part) for part in parts[_PARTS:])]

    # -- where an argument came from ----------------------------------------------------------------------------------

    def _from_argument(self, what: _Argument, steps: list[Step]) -> Frame | _Argument | _Inputs:
        graph, (frame, position) = self._graph, what
        parent = frame.parent
        call, caller = graph.call(frame.call), None if parent is None else graph.call(parent.call)
        table = graph.table(caller)
        if parent is None or call is None or caller is None or table is None or frame.node is None:
            steps.append(Step("origin"))
            return []
        arguments = graph.arguments(call)
        item: Any = argument_item(table.node(frame.node), arguments, position)
        if item is DEFAULT:
            steps.append(Step("origin"))
            return []
        mine = arguments[position]
        origin = origin_of(graph, caller, table, item, mine.value, prefer=mine.name)
        return self._followed(parent, caller, table, origin, steps)


def _gave(call: CallRecord) -> tuple[Outcome, Digest | None]:
    return call.outcome, call.result


# -- text -------------------------------------------------------------------------------------------------------------


def dataflow_lines(graph: Graph, flow: Dataflow, limit: int) -> Iterator[str]:
    """Yields the lines of a dataflow, without indentation; values are cut to `limit` characters."""
    for number, block in enumerate(flow.blocks):
        if number:
            yield ""
        lead = f"{block.name} "
        for step in block.steps:
            yield f"{lead}<-- {_step_text(step)}"
            lead = " " * len(lead)
        width = max((len(variable.name) for variable in block.inputs), default=0)
        for name, value in block.inputs:
            known = "" if value is None else f"<{value.hex()[:8]}> "
            yield f"  {name:<{width}} = {known}{graph.value(value, limit)}"
        if block.hidden:
            yield f"  ... {block.hidden:,} more"
    if flow.cut:
        yield ""
        yield "... further up: redun log with one of the ids above goes on from there"


def _step_text(step: Step) -> str:
    call = "" if step.call is None else f"<{step.call.hex()[:8]}> {step.task}({', '.join(step.names)})"
    if step.how == "call":
        return call
    if step.how in ("argument", "part"):
        return f"{'part of ' if step.how == 'part' else ''}argument of {call}"
    return _ENDS[step.how]


_ENDS: Final = {
    "derives": "derives from",
    "origin": "origin",
    "unrecorded": "a call that is not recorded",
    "more": "...",
}
