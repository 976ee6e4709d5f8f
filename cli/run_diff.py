"""What differs between two executions: code, results, values, and which jobs ran in one and not in the other.

Facts are records of text and ids: JSON is made of them as they are, lines by `diff_view`.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from redun.cli.answers import Answers
from redun.cli.graph import Graph
from redun.cli.history_view import full_uuid
from redun.cli.job_table import Job, JobTable
from redun.cli.matching import Node, Tree, match, tree_of
from redun.core.digest import Digest
from redun.core.forms import printable
from redun.core.objects import CallRecord
from redun.executor.code_changes import CodeChange, code_changes
from redun.executor.known import known_in
from redun.executor.reasons import ArgumentChange, Reason, Reasons
from redun.executor.value_changes import Difference, ValueChange, differences
from redun.store.lookup_names import Run

#: Jobs whose reasons are looked at, pairs of jobs whose values are compared, and characters of a value.
_REASONS: Final = 20_000
_COMPARED: Final = 500
_LINE: Final = 160


class ResultChange(NamedTuple):
    """What two calls gave, as text, and where inside it they differ."""

    old: str
    new: str
    changes: tuple[ValueChange, ...] = ()
    more: bool = False


class TaskChange(NamedTuple):
    """A task whose code differs: its fingerprints, None in the execution that did not use it."""

    task: str
    old: Digest | None
    new: Digest | None
    changes: tuple[CodeChange, ...] = ()


class Counts(NamedTuple):
    """How many pairs of jobs ran, or were answered from the cache, in both executions or in one."""

    ran_in_both: int = 0
    ran_in_old: int = 0
    ran_in_new: int = 0
    cached_in_both: int = 0


class PairChange(NamedTuple):
    """Two jobs that stand against each other and took or gave different values. `result` is None where it is the
    same."""

    task: str
    old: str
    new: str
    text: str
    arguments: tuple[ArgumentChange, ...]
    result: ResultChange | None


class LoneJob(NamedTuple):
    """A job that nothing stands against."""

    job: str
    task: str
    text: str


class RanOnce(NamedTuple):
    """A job that ran where the one that stands against it, `other`, was answered from the cache; `reason` is None where
    more jobs ran than were looked at."""

    job: str
    other: str
    task: str
    reason: Reason | None


class RunDiff(NamedTuple):
    """What differs between two executions.

    Attributes:
        old, new: their uuids.
        result: what their root calls gave; None where it is the same value.
        same_result: text of it, where it is.
        code: tasks whose code differs, by name.
        jobs: how many jobs of each were compared, and how many pairs of them ran or did not.
        ran_in_new, ran_in_old: jobs that ran in one and were answered in the other, and why.
        values: pairs of jobs whose arguments or results differ, the innermost first; `values_total` of them in all.
        only_old, only_new: jobs that nothing stands against.
        cut: whether one has more jobs than were looked at.
    """

    old: str
    new: str
    result: ResultChange | None
    same_result: str
    code: tuple[TaskChange, ...]
    old_jobs: int
    new_jobs: int
    jobs: Counts
    ran_in_new: tuple[RanOnce, ...]
    ran_in_old: tuple[RanOnce, ...]
    values: tuple[PairChange, ...]
    values_total: int
    only_old: tuple[LoneJob, ...]
    only_new: tuple[LoneJob, ...]
    cut: bool


def run_diff(graph: Graph, old: Run, new: Run) -> RunDiff:
    """Returns what differs between two executions."""
    before, after = (tree_of(graph, JobTable(graph, run)) for run in (old, new))
    found = match(before, after)
    pairs = found.pairs
    ran_old = [pair for pair in pairs if pair[1].job.cached and not pair[0].job.cached]
    ran_new = [pair for pair in pairs if pair[0].job.cached and not pair[1].job.cached]
    differing = [pair for pair in pairs if _differs(graph, *pair)]
    differing.sort(key=lambda pair: -pair[1].depth)
    roots = [graph.call(run.root) for run in (old, new)]
    result = _result_change(graph, "result", *roots)
    return RunDiff(
        old=full_uuid(old),
        new=full_uuid(new),
        result=result,
        same_result="" if result is not None else _text(graph, roots[1]),
        code=tuple(_code(graph, old, new)),
        old_jobs=len(before.nodes),
        new_jobs=len(after.nodes),
        jobs=Counts(
            ran_in_both=sum(not one.job.cached and not other.job.cached for one, other in pairs),
            ran_in_old=len(ran_old),
            ran_in_new=len(ran_new),
            cached_in_both=sum(one.job.cached and other.job.cached for one, other in pairs),
        ),
        ran_in_new=tuple(_ran(graph, after, before, [(other, one) for one, other in ran_new])),
        ran_in_old=tuple(_ran(graph, before, after, ran_old)),
        values=tuple(_pair_change(graph, before, after, *pair) for pair in differing[:_COMPARED]),
        values_total=len(differing),
        only_old=tuple(_lone(graph, before, found.only_old)),
        only_new=tuple(_lone(graph, after, found.only_new)),
        cut=before.cut or after.cut,
    )


def _text(graph: Graph, call: CallRecord | None) -> str:
    return "" if call is None or call.result is None else graph.outcome_text(call, _LINE)


# -- code -------------------------------------------------------------------------------------------------------------


def _code(graph: Graph, old: Run, new: Run) -> Iterator[TaskChange]:
    before, after = _tasks(graph, old), _tasks(graph, new)
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one != other:
            changes = () if one is None or other is None else code_changes(one, other, graph.fetch)
            yield TaskChange(printable(name), one, other, changes)


def _tasks(graph: Graph, run: Run) -> dict[str, Digest]:
    """The tasks that an execution had jobs of, by name."""
    used = {count.fullname for count in run.counts if count.total}
    found: dict[str, Digest] = {}
    for digest, _ in run.sources:
        task = graph.task(digest)
        if task is not None and task.fullname in used:
            found[task.fullname] = digest
    return found


# -- jobs -------------------------------------------------------------------------------------------------------------


def _ran(graph: Graph, tree: Tree, others: Tree, pairs: list[tuple[Node, Node]]) -> Iterator[RanOnce]:
    """The jobs that ran in one tree, each with the one of the other tree that stands against it."""
    if not pairs:
        return
    ran: Iterable[tuple[Job, Reason]] = islice(Answers(graph).ran(tree.table), _REASONS)
    reasons = {job.number: reason for job, reason in ran}
    for node, other in pairs:
        reason = reasons.get(node.job.number)
        yield RanOnce(tree.table.id(node.job), others.table.id(other.job), printable(node.name), reason)


def _lone(graph: Graph, tree: Tree, nodes: list[Node]) -> Iterator[LoneJob]:
    for node in nodes:
        yield LoneJob(tree.table.id(node.job), printable(node.name), graph.call_text(node.job.call, _LINE))


# -- values -----------------------------------------------------------------------------------------------------------


def _differs(graph: Graph, old: Node, new: Node) -> bool:
    """Whether two jobs took or gave different values."""
    before, after = graph.call(old.job.call), graph.call(new.job.call)
    if old.job.call == new.job.call or before is None or after is None:
        return False
    return (before.args, before.outcome, before.result) != (after.args, after.outcome, after.result)


def _pair_change(graph: Graph, before: Tree, after: Tree, old: Node, new: Node) -> PairChange:
    one, other = graph.call(old.job.call), graph.call(new.job.call)
    assert one is not None, "it differs from another"
    assert other is not None, "it differs from another"
    return PairChange(
        printable(new.name),
        before.table.id(old.job),
        after.table.id(new.job),
        graph.call_text(new.job.call, _LINE),
        Reasons(graph.fetch, known_in(graph.store)).argument_changes(one, other.task, other.args),
        _result_change(graph, "result", one, other),
    )


def _result_change(graph: Graph, name: str, old: CallRecord | None, new: CallRecord | None) -> ResultChange | None:
    """Where what two calls gave differs; None where it does not, or there is nothing to compare."""
    if old is None or new is None or (old.outcome, old.result) == (new.outcome, new.result):
        return None
    payloads = [graph.payload(call.result, "value") for call in (old, new)]
    before, after = payloads
    found = Difference(())
    if old.outcome is new.outcome and before is not None and after is not None:
        found = differences(name, before, after, graph.fetch)
    return ResultChange(_text(graph, old) or "none", _text(graph, new) or "none", found.changes, found.more)
