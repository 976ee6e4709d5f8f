"""The fingerprint of code: the task object, which decides whether two tasks are the same for the cache.

It covers a function's own source in its normal form and, transitively, everything of the user's own that it uses. Tasks
that it only calls enter by what a caller sees of them: their calls have fingerprints of their own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from redun.core import codes
from redun.core.code_uses import CodeUses
from redun.core.codec import storable
from redun.core.constants import freeze_names
from redun.core.digest import Digest
from redun.core.errors import CannotEncode, CodecError
from redun.core.objects import SourceRecord, TaskRecord
from redun.core.ownership import Ownership, principal
from redun.core.sources import Capture, capture
from redun.core.tasks import Task
from redun.core.uses import Binding, Objects, UseList

__all__ = ["Fingerprint", "Objects", "Ownership", "code_fingerprint", "fingerprint"]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of a task's code.

    Attributes:
        digest: id of the `task` object.
        record: what it holds. Its `code` is `unknown` where source could not be verified: keep no result under it.
        source: id of the `source` object with the exact text.
        untracked: lines that say what the code uses and the fingerprint does not cover.
        bindings: what the names were bound to that its code uses. The fingerprint is that of now while they all hold.
    """

    digest: Digest
    record: TaskRecord
    source: Digest
    untracked: tuple[str, ...] = ()
    bindings: tuple[Binding, ...] = ()


def fingerprint(task: Task[..., Any], objects: Objects) -> Fingerprint:
    """Returns the fingerprint of a task as its code is now, and puts the objects that it points to.

    Raises:
        CannotEncode: if an item of `hash_includes` has no deterministic encoding.
    """
    main = principal(task.func)
    captured = task.capture
    if main is not None and captured.code is not None and main.__code__ is not captured.code:
        captured = capture(task.func)  # somebody has put another function in its place
    if main is not None:
        freeze_names(main.__globals__)
    source = objects.put("source", SourceRecord(captured.text, storable(captured.file), captured.line).payload())
    found = UseList(objects)
    mode = "version" if task.version is not None else task.code
    text: Digest | None = None
    if mode != "version":
        if captured.verified:
            text = found.source(captured.text)
            if mode == "closure":
                _follow(task, captured, found)
        else:
            found.doubt(task.fullname, captured.reason)
    for name in task.track_versions:
        _add_version(name, found)
    includes = tuple(sorted(_included(item, task, found) for item in task.hash_includes))
    record = TaskRecord(
        fullname=task.fullname,
        code="unknown" if found.doubts else mode,
        version=task.version,
        text=None if found.doubts else text,
        params=task.params,
        interface=task.interface,
        uses=found.uses(),
        includes=includes,
    )
    return Fingerprint(objects.put("task", record.payload()), record, source, found.untracked, found.bindings)


def _follow(task: Task[..., Any], captured: Capture, found: UseList) -> None:
    main = principal(task.func)
    assert main is not None, "a verified capture is of a function"
    home = f"{task.module}:{main.__qualname__}"
    CodeUses(found, Ownership.of(task)).follow_task(task.func, home, captured)


def _add_version(name: str, found: UseList) -> None:
    import importlib.metadata  # it costs 20 ms, and few tasks ask for versions

    try:
        found.add("distribution", name, None, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        found.untrack(name, "is not installed")


def _included(item: Any, task: Task[..., Any], found: UseList) -> Digest:
    """The id of an item of `hash_includes`: of code it is its fingerprint, else the value's."""
    if isinstance(item, Task):
        # two tasks may include each other, so the other counts without what it includes itself
        print_ = fingerprint(_without_includes(item), found.objects)
        found.depend(print_.bindings)
        return print_.digest
    own = Ownership.of(task)
    if isinstance(item, (type, FunctionType)) and own.owns(item):
        digest, bindings = code_fingerprint(item, found.objects, own)
        found.depend(bindings)
        return digest
    try:
        return found.objects.value(item)
    except CodecError as error:
        raise CannotEncode(f"hash_includes of task {task.fullname}: {error.message}", hint=error.hint) from None


def _without_includes(task: Task[..., Any]) -> Task[..., Any]:
    import copy

    other = copy.copy(task)
    other.hash_includes = ()
    return other


def code_fingerprint(obj: Any, objects: Objects, own: Ownership) -> tuple[Digest, tuple[Binding, ...]]:
    """Returns the id of a user's function or class, found among arguments or results: that of a `task` object whose
    full name is `module:qualname`; and the bindings while which it is that."""
    name = f"{codes.module_name(obj.__module__)}:{obj.__qualname__}"
    found = UseList(objects)
    CodeUses(found, own).follow_code(obj, name)
    text = found.take("class" if isinstance(obj, type) else "function", name)
    if found.doubts:
        found.add("untracked", name, None, f"not to be told from other code: {os.urandom(8).hex()}")
    record = TaskRecord(
        fullname=name,
        code="unknown" if found.doubts else "closure",
        text=None if text is None or found.doubts else text.target,
        uses=found.uses(),
    )
    return objects.put("task", record.payload()), found.bindings
