"""Hypothesis strategies: records of every structural kind, canonical as their writers make them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from redun.core.digest import Digest
from redun.core.objects import (
    CallRecord,
    ExecRecord,
    ExtRecord,
    Flag,
    HeadRecord,
    How,
    JobRow,
    JobsRecord,
    NoteRecord,
    Outcome,
    SourceRecord,
    Status,
    TaskCount,
    TaskRecord,
    TaskSetRecord,
    TraceFrame,
    TraceRecord,
    TreeRecord,
    Use,
    Why,
)

digests = st.binary(min_size=16, max_size=16).map(Digest) | st.binary(min_size=32, max_size=32).map(Digest)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
naturals = st.integers(0, 2**63 - 1)
signed = st.integers(-(2**63), 2**63 - 1)
pairs = st.tuples(texts, texts)


def few(items: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[tuple[Any, ...]]:
    """Returns tuples of up to `most` items."""
    return st.lists(items, max_size=most).map(tuple)


def in_order(items: st.SearchStrategy[Any], key: Any = None) -> st.SearchStrategy[tuple[Any, ...]]:
    """Returns sorted tuples of up to four items."""
    return st.lists(items, max_size=4).map(lambda found: tuple(sorted(found, key=key)))


uses = st.builds(Use, texts, texts, st.none() | digests, texts)
tasks = st.builds(
    TaskRecord,
    texts,
    texts,
    st.none() | texts,
    st.none() | digests,
    few(st.tuples(texts, st.integers(0, 4))),
    in_order(pairs),
    in_order(uses, key=lambda use: use.name),
    in_order(digests),
)
sources = st.builds(SourceRecord, texts, texts, naturals)
calls = st.builds(
    CallRecord,
    digests,
    few(digests),
    st.none() | digests,
    st.sampled_from([Outcome.VALUE, Outcome.RAISED]),
    digests,
    few(st.none() | digests),
    few(digests),
) | st.builds(
    CallRecord,
    digests,
    few(digests),
    st.none() | digests,
    st.just(Outcome.PARTIAL),
    st.none(),
    few(st.none() | digests),
    few(digests),
)
trees = st.builds(TreeRecord, naturals, naturals, few(digests))

heads = st.builds(
    HeadRecord,
    digests,
    few(st.builds(Flag, texts, texts, st.none() | digests)),
    in_order(st.tuples(texts, st.none() | digests), key=lambda read: read[0]),
    st.none() | digests,
)
task_sets = st.builds(TaskSetRecord, in_order(st.tuples(texts, digests, few(st.tuples(texts, digests)))))
externals = st.builds(
    lambda own, below, barriers, made, past, met, wrote: ExtRecord(
        own, below, barriers, min(made, len(own)), past, met, wrote
    ),
    few(digests),
    few(digests),
    few(st.tuples(texts, digests)),
    st.integers(0, 2),
    few(digests),
    few(digests),
    few(digests),
)

job_rows = st.builds(
    JobRow,
    number=st.integers(0, 2**40),
    call=st.none() | digests,
    parent=st.integers(-1, 2**40),
    status=st.sampled_from(Status),
    how=st.sampled_from(How),
    why=st.sampled_from(Why),
    start=signed,
    duration=signed,
    executor=texts,
    attempt=naturals,
    compared=st.none() | digests,
    head=st.none() | digests,
    trace=st.none() | digests,
    remote=texts,
    counts=few(st.tuples(texts, naturals)),
    stale=few(st.tuples(digests, st.none() | digests)),
)
uuids = st.binary(min_size=16, max_size=16)
job_pages = st.builds(JobsRecord, uuids, few(job_rows, 6))
executions = st.builds(
    ExecRecord,
    uuids,
    uuids,
    st.none() | digests,
    st.none() | digests,
    st.sampled_from(Status),
    signed,
    signed,
    few(texts),
    in_order(pairs),
    few(digests),
    naturals,
    few(st.builds(TaskCount, texts, naturals, naturals, naturals, naturals, naturals)),
    in_order(st.tuples(digests, digests)),
    st.none() | digests,
    few(pairs),
)
traces = st.builds(
    TraceRecord, texts, few(st.builds(TraceFrame, texts, signed, texts, texts)), few(texts), st.none() | digests
)
notes = st.builds(NoteRecord, texts, st.none() | digests, texts, few(pairs), signed, texts)

BY_KIND: dict[str, st.SearchStrategy[Any]] = {
    "task": tasks,
    "source": sources,
    "call": calls,
    "tree": trees,
    "footprint": heads | task_sets | externals,
    "jobs": job_pages,
    "exec": executions,
    "trace": traces,
    "note": notes,
}
