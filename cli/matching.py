"""Which job of one execution stands against which of another.

Jobs are matched from the roots down: below two jobs that stand against each other, those with the same task and
arguments first, then those of the same task in order. What is left over on both sides is matched by task and arguments,
wherever it stands.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from redun.cli.graph import Graph
from redun.cli.job_table import Job, JobTable

#: Jobs of one execution that are looked at.
_JOBS: Final = 20_000
_BATCH: Final = 1000


class Node:
    """A job in the tree of its execution.

    Attributes:
        below: the jobs that it called, in order.
        name: full name of its task; empty where that is not known.
    """

    __slots__ = ("args", "below", "depth", "job", "name")

    def __init__(self, job: Job, depth: int, name: str, args: Hashable) -> None:
        self.job = job
        self.depth = depth
        self.name = name
        self.args = args
        self.below: list[Node] = []


class Tree(NamedTuple):
    """The jobs of an execution, as many as are looked at; `cut`: there are more."""

    table: JobTable
    roots: list[Node]
    nodes: list[Node]
    cut: bool


class Matching(NamedTuple):
    """Pairs of jobs that stand against each other, and jobs that nothing stands against."""

    pairs: list[tuple[Node, Node]]
    only_old: list[Node]
    only_new: list[Node]


def tree_of(graph: Graph, table: JobTable) -> Tree:
    """Returns the jobs of an execution."""
    nodes: list[Node] = []
    roots: list[Node] = []
    path: list[Node] = []
    jobs = table.walk()
    while len(nodes) < _JOBS and (batch := list(islice(jobs, _BATCH))):
        graph.prefetch(job.call for _, job in batch)
        for depth, job in batch:
            call = graph.call(job.call)
            node = Node(job, depth, graph.task_name(job.call) or "", None if call is None else call.args)
            (path[depth - 1].below if depth else roots).append(node)
            path[depth:] = [node]
            nodes.append(node)
    return Tree(table, roots, nodes, next(jobs, None) is not None)


def match(old: Tree, new: Tree) -> Matching:
    """Returns which jobs of two executions stand against each other."""
    pairs: list[tuple[Node, Node]] = []
    stack: list[tuple[Sequence[Node], Sequence[Node]]] = [(old.roots, new.roots)]
    while stack:
        left, right = stack.pop()
        exact, left, right = _paired(left, right, _by_call)
        loose, _, _ = _paired(left, right, lambda node: node.name)
        found = exact + loose
        pairs += found
        stack += [(one.below, other.below) for one, other in reversed(found)]
    taken = {id(node) for pair in pairs for node in pair}
    left, right = ([node for node in tree.nodes if id(node) not in taken] for tree in (old, new))
    moved, left, right = _paired(left, right, _by_call)
    return Matching(pairs + moved, left, right)


def _by_call(node: Node) -> Hashable:
    return (node.name, node.args) if node.args is not None else (node.name, id(node))


def _paired(
    left: Iterable[Node], right: Iterable[Node], key: Callable[[Node], Hashable]
) -> tuple[list[tuple[Node, Node]], list[Node], list[Node]]:
    """The pairs with equal keys, in order, and what is left on each side."""
    waiting: dict[Hashable, deque[Node]] = defaultdict(deque)
    for node in right:
        waiting[key(node)].append(node)
    pairs: list[tuple[Node, Node]] = []
    rest: list[Node] = []
    for node in left:
        found = waiting.get(key(node))
        if found:
            pairs.append((node, found.popleft()))
        else:
            rest.append(node)
    taken = {id(other) for _, other in pairs}
    return pairs, rest, [node for node in right if id(node) not in taken]
