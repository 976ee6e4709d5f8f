"""A store that holds one of everything, for what copies stores."""

from __future__ import annotations

from collections import Counter
from typing import Any

from redun.core.codec import Pointer, pack
from redun.core.digest import Digest, Key
from redun.core.keys import call_key
from redun.core.objects import (
    CallRecord,
    HeadRecord,
    How,
    JobRow,
    NoteRecord,
    Outcome,
    SourceRecord,
    Status,
    TaskCount,
    TaskRecord,
    TaskSetRecord,
    Why,
)
from redun.store import Batch, MemoUpdate, RunUpdate, Store
from redun.store.gc.collect import GcOptions
from redun.store.gc.retention import KeepRules
from redun.store.tags import of_execution, of_object, of_task

LARGE = bytes(range(256)) * 5_000
LONG = ["x" * 70_000, {("z" * 70_000, 1), ("y" * 70_000, 2), ("w" * 70_000, 3), "short"}, list(range(300_000))]


def key_of(store: Store, number: int) -> Key:
    """Returns the key of the call of that number."""
    with Store.memory(store.format.name) as scratch:
        return call_key(store.format, _task(scratch), [scratch.put_value(number)])


def _task(store: Store) -> Digest:
    text = store.put("source", SourceRecord("def task(n): ...").payload())
    includes = tuple(sorted(store.put_value(word) for word in ("a", "b", "c", "d", "e")))
    return store.put("task", TaskRecord("moved.task", "closure", None, text, (("n", 1),), includes=includes).payload())


def run(store: Store, number: int, *, result: Any = None, cause: bool = True) -> Digest:
    """Puts an execution of one job, which was compared with that of the execution before; returns its id."""
    task, arg = _task(store), store.put_value(number)
    source = store.put("source", SourceRecord("def task(n): ...", "moved.py", 3).payload())
    made = store.put_value(number if result is None else result)
    call = store.put("call", CallRecord(task, (arg,), None, Outcome.VALUE, made).payload())
    tasks = store.put("footprint", TaskSetRecord((("moved.task", task, ()),)).payload())
    head = store.put("footprint", HeadRecord(tasks).payload())
    before = next((record.root for _, record in store.executions()), None)
    live = store.begin_run(["redun", "run", str(number)], {"user": "ada"})
    job = JobRow(0, call, -1, Status.DONE, How.RAN, Why.ARGUMENT, 10, 5, compared=before, head=head)
    batch = Batch(
        memo=[MemoUpdate(key_of(store, number), "moved.task", made, False, call, head, cause)], tallies={call: [1]}
    )
    return live.seal(
        batch,
        root=call,
        status=Status.DONE,
        rows=1,
        counts=(TaskCount("moved.task", done=1),),
        sources=((task, source),),
        tail=[job],
        tags=[("kind", "test")],
    )


def fill(store: Store, *, prune: bool = True) -> None:
    """Puts one of everything; of what is pruned, something is missing afterwards."""
    for number in range(3):
        run(store, number)
    run(store, 0, result="another", cause=False)  # what was computed before is doubtful now
    large = store.put_blob([LARGE], len(LARGE))
    long = store.put_value(LONG)
    note = store.put("note", NoteRecord("mark", large, "", (("a", "b"),), 17, "ada").payload())
    wide = store.put("tool.wide", pack([Pointer(long), bytes(2_000_000)]))
    other = store.put("tool.thing", pack({"a": Pointer(large), "b": [Pointer(long), Pointer(wide)]}))
    for name, target in (("kept/long", long), (f"marks/{large.hex()}", note), ("tool/thing", other), ("gone", long)):
        store.set_ref(name, target, expected=None, reason="fill")
    store.set_ref("gone", None, expected=long, reason="removed")
    store.add_tags(of_object(long), [("size", "long")], author="ada")
    store.add_tags(of_task("moved.task"), [("state", "old")], author="ada")
    newest, record = next(store.executions())
    store.add_tags(of_execution(record.uuid), [("state", "good")], author="ada")
    store.set_ref("pins/it", newest, expected=None, reason="pin")
    if prune:
        store.prune(store.plan_pruning(KeepRules(last=2)))
        store.collect_garbage(GcOptions())  # what only the pruned ones led to lies in the trash
    store.put_value("no name leads here")


def unfinished(store: Store) -> None:
    """Begins a run and leaves it."""
    live = store.begin_run(["unfinished"], {})
    store.commit(Batch(run=RunUpdate(live.uuid)))


def answers(store: Store) -> dict[str, Any]:
    """Returns what a store says, in words that do not depend on how its objects are named."""

    def words(digest: Digest | None) -> Any:
        if digest is None or not store.has(digest):
            return None
        kind = store.get(digest)[0]
        return (kind, store.get_value(digest)) if kind == "value" else kind

    history = list(store.executions())
    there = {digest for digest, _ in store.objects()}
    memo = [store.lookup({}, [key_of(store, number)])[0] for number in range(3)]
    return {
        "kinds": Counter(kind for _, kind in store.objects()),
        "history": [(record.uuid, record.argv, record.info, record.tags, record.counts) for _, record in history],
        "rows": [
            (row._replace(call=None, compared=None, head=None), row.compared in there)
            for _, record in history
            for page in store.job_pages(record.pages)
            for row in page.rows
        ],
        "refs": {
            name.split("/")[0]: words(digest)
            for name, digest in store.refs().items()
            if not name.startswith(("executions/", "tags/"))
        },
        "tags": sorted((thing.kind, tag.pair, tag.author) for thing, tag in store.tagged()),
        "log": [(words(e.old), words(e.new), e.reason) for e in store.reflog("gone")],
        "memo": [row and (words(row.reduction), [words(call.call) for call in row.calls]) for row in memo],
        "doubtful": store.superseded("moved.task") > 0,
        "tallies": [store.tally(record.root) for _, record in history if record.root],
        "large": bytes(store.open_blob(_large(store))) == LARGE,
    }


def _large(store: Store) -> Digest:
    (name,) = (name for name in store.refs() if name.startswith("marks/"))
    return Digest(bytes.fromhex(name.removeprefix("marks/")))
