"""What a call's whole subtree depended on: its footprint, as people read it."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterator
from typing import Final, NamedTuple

from redun.cli.colors import Paint
from redun.cli.graph import Graph
from redun.cli.history_view import SHORT
from redun.cli.parts import indented
from redun.core import codes
from redun.core.codec import ExtType, unpack
from redun.core.digest import Digest
from redun.core.display import show
from redun.core.errors import MalformedObject
from redun.core.forms import printable
from redun.core.objects import ExtRecord, HeadRecord, TaskSetRecord, parse_footprint

#: Tasks, and external values, that are named in lines.
_NAMED: Final = 8
#: External values that are listed, and nodes of their graph that are read.
_LISTED: Final = 100
_NODES: Final = 10_000


class Dependencies(NamedTuple):
    """What a call's whole subtree depended on.

    Attributes:
        tasks: (full name, id), by name.
        externals: text of the values that stand for something outside, files above all; `more`: there are more.
        volatile: why it can never be replayed whole, safe to print; empty where it can.
    """

    tasks: tuple[tuple[str, Digest], ...]
    externals: tuple[str, ...] = ()
    more: bool = False
    volatile: str = ""


def dependencies(graph: Graph, head: Digest | None) -> Dependencies | None:
    """Returns what a footprint's head says; None where it is missing."""
    record = _part(graph, head)
    if not isinstance(record, HeadRecord):
        return None
    tasks = _part(graph, record.tasks)
    names = tasks.tasks if isinstance(tasks, TaskSetRecord) else ()
    values = dict.fromkeys(_own_values(graph, record.ext))
    shown = [_shown(graph, value) for value in list(values)[:_LISTED]]
    volatile = "; ".join(printable(flag.reason) for flag in record.flags)
    return Dependencies(
        tuple([(name, digest) for name, digest, _ in names]), tuple(shown), len(values) > _LISTED, volatile
    )


def _part(graph: Graph, digest: Digest | None) -> HeadRecord | TaskSetRecord | ExtRecord | None:
    payload = graph.payload(digest, "footprint")
    return None if payload is None else parse_footprint(payload)


def _own_values(graph: Graph, root: Digest | None) -> Iterator[Digest]:
    """The external values of every node below one; a node that is shared is read once."""
    stack = [] if root is None else [root]
    seen: set[Digest] = set()
    while stack and len(seen) < _NODES:
        digest = stack.pop()
        if digest in seen:
            continue
        seen.add(digest)
        record = _part(graph, digest)
        if isinstance(record, ExtRecord):
            yield from record.values()
            stack += [*reversed(record.children), *(node for _, node in record.barriers)]


def _shown(graph: Graph, digest: Digest) -> str:
    payload = graph.payload(digest, "value")
    if payload is None:
        return f"<{digest.hex()[:8]} missing>"
    try:
        item = unpack(payload)
        if type(item) is ExtType and item.code == codes.ADAPTED:
            code, state = unpack(item.data)
            if code == "redun.code":
                return f"the code of {printable(state[0].replace(':', '.', 1))}"
    except (MalformedObject, TypeError, ValueError, IndexError):
        pass  # shown as what it is
    return show(payload, graph.fetch)


def depends_lines(depends: Dependencies | None, paint: Paint) -> Iterator[str]:
    """Yields the lines of what a call's subtree depended on, an empty one first; none where that is not recorded."""
    if depends is None:
        return
    tasks = [f"{printable(name)} {paint(digest.hex()[:SHORT], 'id')}" for name, digest in depends.tasks]
    more = ", ..." if len(tasks) > _NAMED else ""
    yield ""
    yield f"Depends on the code of {len(tasks):,} task{'' if len(tasks) == 1 else 's'}:"
    yield f"  {', '.join(tasks[:_NAMED])}{more}"
    if depends.externals:
        yield "and on what is outside:"
        yield from indented(depends.externals[:_NAMED])
        if len(depends.externals) > _NAMED or depends.more:
            yield "  ..."
    if depends.volatile:
        yield f"It is never replayed whole: {depends.volatile}"
