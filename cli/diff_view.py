"""What differs between two executions, as lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from redun.cli.colors import Paint
from redun.cli.history_view import SHORT, run_line
from redun.cli.parts import indented
from redun.cli.reason_view import argument_lines, code_lines, value_lines
from redun.cli.run_diff import LoneJob, PairChange, RanOnce, ResultChange, RunDiff, TaskChange
from redun.store.lookup_names import Run


def diff_lines(diff: RunDiff, old: Run, new: Run, most: int | None, paint: Paint) -> Iterator[str]:
    """Yields the lines of what differs between two executions; `most` of each sort of it."""
    yield f"A: {run_line(old, paint)}"
    yield f"B: {run_line(new, paint)}"
    yield ""
    yield from _result(diff)
    if diff.code:
        yield ""
        yield "Code that differs:"
        yield from indented(line for change in diff.code[:most] for line in _task(change, paint))
        yield from _more(len(diff.code), most)
    yield ""
    jobs = diff.jobs
    yield (
        f"Jobs: {diff.old_jobs:,} in A, {diff.new_jobs:,} in B{' (the first)' if diff.cut else ''}; "
        f"{jobs.cached_in_both:,} cached in both, {jobs.ran_in_both:,} ran in both"
    )
    yield from _ran("Ran in B and cached in A", diff.ran_in_new, most, paint)
    yield from _ran("Ran in A and cached in B", diff.ran_in_old, most, paint)
    if diff.values:
        yield ""
        yield f"Values that differ, innermost first ({diff.values_total:,}):"
        yield from indented(line for pair in diff.values[:most] for line in _pair(pair, paint))
        yield from _more(diff.values_total, most)
    yield from _lone("Only in A", diff.only_old, most, paint)
    yield from _lone("Only in B", diff.only_new, most, paint)


def _result(diff: RunDiff) -> Iterator[str]:
    if diff.result is None:
        yield f"Result: the same: {diff.same_result}" if diff.same_result else "Result: none to compare"
        return
    yield "Result:"
    yield f"  A: {diff.result.old}"
    yield f"  B: {diff.result.new}"
    yield from indented(_places(diff.result))


def _places(result: ResultChange) -> Iterator[str]:
    yield from value_lines(result.changes)
    if result.more:
        yield "... differs in more places"


def _task(change: TaskChange, paint: Paint) -> Iterator[str]:
    ids = [None if digest is None else paint(digest.hex()[:SHORT], "id") for digest in (change.old, change.new)]
    if change.old is None or change.new is None:
        yield f"{change.task} only in {'B' if change.old is None else 'A'}: Task {ids[1] or ids[0]}"
        return
    yield f"{change.task}: Task {ids[0]} -> {ids[1]}"
    yield from indented(code_lines(change.changes, paint))


def _ran(title: str, jobs: tuple[RanOnce, ...], most: int | None, paint: Paint) -> Iterator[str]:
    """The lines of jobs that ran in one execution only, one for all of a task that ran for the same reason."""
    if not jobs:
        return
    groups: dict[tuple[str, str], list[RanOnce]] = {}
    for job in jobs:
        groups.setdefault((job.task, "?" if job.reason is None else job.reason.text()), []).append(job)
    yield ""
    yield f"{title} ({len(jobs):,}):"
    for (task, reason), same in islice(groups.items(), most):
        more = f" (and {len(same) - 1:,} more jobs)" if len(same) > 1 else ""
        yield f"  Job {paint(same[0].job[:SHORT], 'id')}  {task}: {reason}{more}"
    yield from _more(len(groups), most)


def _pair(pair: PairChange, paint: Paint) -> Iterator[str]:
    yield f"Job {paint(pair.old[:SHORT], 'id')} / Job {paint(pair.new[:SHORT], 'id')}  {pair.text}"
    yield from indented(line for change in pair.arguments for line in argument_lines(change))
    if pair.result is not None:
        places = list(_places(pair.result))
        yield from indented(places or [f"result: {pair.result.old} -> {pair.result.new}"])


def _lone(title: str, jobs: Iterable[LoneJob], most: int | None, paint: Paint) -> Iterator[str]:
    found = list(jobs)
    if not found:
        return
    yield ""
    yield f"{title} ({len(found):,}):"
    yield from (f"  Job {paint(job.job[:SHORT], 'id')}  {job.text}" for job in found[:most])
    yield from _more(len(found), most)


def _more(total: int, most: int | None) -> Iterator[str]:
    if most is not None and total > most:
        yield f"  ... {total - most:,} more: -n 0 lists all"
