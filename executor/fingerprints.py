"""The fingerprints of tasks and of other code as one run knows them: as computed, or as accepted by the user."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from redun.core.digest import Digest, ObjectFormat
from redun.core.keys import Prepared, code_id, prepare, renewed
from redun.core.tasks import Task

#: Why the result of a body answers no later run, where `have_moved`.
REBOUND: Final = "a name that its code uses was given another meaning while the run went on"

_Code: TypeAlias = tuple[Any, Task[..., Any] | None, Digest | None, dict[Digest, tuple[str, bytes]]]


class Fingerprints:
    """The fingerprints of tasks as one run knows them.

    Args:
        fmt: the object format that they are ids of.
        accepted: fingerprints that stand for earlier ones (see `accepted`).
    """

    def __init__(self, fmt: ObjectFormat, accepted: Mapping[Digest, Digest] | None = None) -> None:
        self._format = fmt
        self._accepted = accepted or {}
        self._prepared: dict[Task[..., Any], Prepared] = {}
        self._modules = 0
        self._moved: set[Task[..., Any]] = set()
        self._code_moved = False
        #: What is known of classes and functions, by their ids and their consumers'.
        self._code: dict[tuple[int, int], _Code] = {}

    def prepare(self, task: Task[..., Any]) -> Prepared:
        """Returns the task's fingerprint and defaults.

        Raises:
            CannotEncode: if a default or an item of `hash_includes` has no deterministic encoding.
        """
        found = self._prepared.get(task)
        if found is None:
            found = renewed(prepare(task, self._format), self._format)
            earlier = self._accepted.get(found.digest)
            if earlier is not None:
                found = replace(found, digest=earlier)
            self._prepared[task] = found
        return found

    def have_moved(self, task: Task[..., Any], *, coded: bool) -> bool:
        """Returns whether a body of the task may have run other code than its key says: a module that was imported
        meanwhile may have given names that the code uses to something else.

        Args:
            coded: whether code among the arguments is part of the key.
        """
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            self._look_again()
        return task in self._moved or (coded and self._code_moved)

    def _look_again(self) -> None:
        for task, known in self._prepared.items():
            now = prepare(task, self._format).digest
            if self._accepted.get(now, now) != known.digest:
                self._moved.add(task)
        for obj, consumer, known_id, _ in self._code.values():
            if code_id(obj, self._format, consumer)[0] != known_id:
                self._code_moved = True

    def code_id(
        self, obj: Any, consumer: Task[..., Any] | None = None
    ) -> tuple[Digest | None, dict[Digest, tuple[str, bytes]]]:
        """Returns the fingerprint of a class, function or task that a value of a task refers to, and the objects it
        needs; None for code that is not the user's own."""
        if isinstance(obj, Task):
            prepared = self.prepare(obj)
            return prepared.digest, prepared.objects
        found = self._code.get((id(obj), id(consumer)))
        if found is None:
            found = self._code[id(obj), id(consumer)] = (obj, consumer, *code_id(obj, self._format, consumer))
        return found[2], found[3]
