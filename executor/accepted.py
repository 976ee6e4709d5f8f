"""Accepted code: "this change does not matter, what was computed before it is still valid".

A note says that a fingerprint stands for an earlier one of the same task. From then on the task is known by the earlier
one wherever a fingerprint counts: in keys, calls, footprints. Memo rows are not touched, so taking the note back undoes
it. Notes are found by refs named `accepted/<fingerprint>`.
"""

from __future__ import annotations

import time
from typing import Any, Final

from redun.core.digest import Digest
from redun.core.errors import NotFound
from redun.core.keys import prepare
from redun.core.objects import NoteRecord, TaskRecord
from redun.core.tasks import Task
from redun.store import Store

_PREFIX: Final = "accepted/"


def accepted(store: Store) -> dict[Digest, Digest]:
    """Returns which fingerprints stand for which earlier ones."""
    found: dict[Digest, Digest] = {}
    for name, note in store.refs(_PREFIX).items():
        earlier = NoteRecord.parse(bytes(store.get(note)[1])).about
        if earlier is not None:
            found[Digest(bytes.fromhex(name.removeprefix(_PREFIX)))] = earlier
    return found


def accept(store: Store, task: Task[..., Any], author: str) -> Digest | None:
    """Says that the task's code of now stands for the newest in the history, and returns that; None where they are the
    same and nothing needs to be said.

    Raises:
        NotFound: if the history knows no earlier code of the task.
    """
    current = prepare(task, store.format)
    earlier = _newest(store, task.fullname)
    if earlier is None:
        raise NotFound(f"the history has no earlier code of {task.fullname}", hint="there is nothing to accept yet")
    if earlier == current.digest:
        return None
    now = time.time_ns() // 1000
    note = NoteRecord("accepted-code", earlier, task.fullname, (), now, author)
    store.put_many(current.objects.values())
    name = _PREFIX + current.digest.hex()
    store.set_ref(name, store.put("note", note.payload()), expected=store.ref(name), reason="accept code")
    return earlier


def withdraw(store: Store, task: Task[..., Any]) -> None:
    """Takes back that the task's code of now stands for an earlier one.

    Raises:
        NotFound: if that was not said.
    """
    name = _PREFIX + prepare(task, store.format).digest.hex()
    note = store.ref(name)
    if note is None:
        raise NotFound(f"the code of {task.fullname} as it is now was not accepted for an earlier one")
    store.set_ref(name, None, expected=note, reason="withdraw accepted code")


def _newest(store: Store, fullname: str) -> Digest | None:
    for _, execution in store.executions():
        for task, _ in execution.sources:
            if TaskRecord.parse(bytes(store.get(task)[1])).fullname == fullname:
                return task
    return None
