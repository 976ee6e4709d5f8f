"""What bodies are given that stands for something outside: looked at before a job is answered, and after its body.

An argument may stand for 100,000 files, and a thousand jobs may have the same one. So what costs much is looked at once
for all jobs that ask between two bodies, and after bodies once for all that have ended meanwhile: they wait for that
with being recorded, so that nothing is remembered of a body whose argument changed under it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from redun.core.digest import Digest
from redun.core.errors import RemoteFileError
from redun.core.files.places import place_of
from redun.core.handle_states import stands
from redun.core.values import Encoded, Encoder, External
from redun.executor.jobs import Job

#: An argument that stands for so many things costs much.
_MANY: Final = 64
#: How much of the time such looks may take: one part in so many.
_SHARE: Final = 5


class Ids:
    """Ids of external values. Those of sets of files are kept: there are copies of each, and each is long."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[tuple[object, int], tuple[object, Digest]] = {}

    def __call__(self, external: External) -> Digest:
        """Returns the id of an external value."""
        place = place_of(external)
        if place is None or not place.many:
            return self._encoder.value(external)
        members = external.members()  # type: ignore[attr-defined]  # a set has members, which its copies share
        known = self._known.get((place, id(members)))
        if known is None:
            known = self._known[place, id(members)] = (members, self._encoder.value(external))
        return known[1]


class Inputs:
    """Looks at arguments of the jobs of one run.

    Args:
        warn: tells people of something that is not as it should be.
    """

    def __init__(self, encoder: Encoder, warn: Callable[[str], None]) -> None:
        self._encoder = encoder
        self._warn = warn
        #: By id of an argument: in which generation it was looked at, and what of it was not as it was named.
        self._looked: dict[Digest, tuple[int, External | None]] = {}
        self._waiting: dict[Digest, tuple[Encoded, list[Job]]] = {}
        self._due = 0.0

    def stale(self, arg: Encoded, generation: int) -> External | None:
        """Returns what of an argument is not as it was when it was named, if anything is not.

        Raises:
            RemoteFileError: if that cannot be known.
        """
        if not _is_costly(arg):
            return _first_stale(arg)
        digest = self._encoder.identify(arg)
        known = self._looked.get(digest)
        if known is None or known[0] != generation:
            known = self._looked[digest] = (generation, _first_stale(arg))
        return known[1]

    def ended(self, job: Job) -> None:
        """Looks at the arguments of a job once more, whose body has ended: what it changed itself, it has named in what
        it returned."""
        for arg in job.args:
            if not arg.externals:
                continue
            if _is_costly(arg):
                self._waiting.setdefault(self._encoder.identify(arg), (arg, []))[1].append(job)
            else:
                self._compare([job], arg)

    def settle(self, *, at_once: bool = False) -> bool:
        """Looks at what waits for that, unless too much time went into it lately; returns whether nothing waits."""
        if self._waiting:
            begun = time.monotonic()
            if begun < self._due and not at_once:
                return False
            waiting, self._waiting = self._waiting, {}
            for arg, jobs in waiting.values():
                self._compare(jobs, arg)
            ended = time.monotonic()
            self._due = ended + (ended - begun) * (_SHARE - 1)
        return True

    def _compare(self, jobs: Iterable[Job], arg: Encoded) -> None:
        try:
            changed = [external for external in arg.externals if not stands(external)]
        except RemoteFileError as error:
            for job in jobs:
                job.unkept = f"an argument could not be looked at again: {error.message}"
            return
        if not changed:
            return
        for job in jobs:
            found = job.reduction.externals if job.reduction is not None else ()
            named = {place_of(external) for external in found if external.is_valid()} - {None}
            other = next((external for external in changed if place_of(external) not in named), None)
            if other is not None:
                job.unkept = "an argument changed while it ran"
                self._warn(f"{other.describe()} changed while {job.task.fullname} ran on it: its result is not cached")


def _is_costly(arg: Encoded) -> bool:
    externals = arg.externals
    if len(externals) >= _MANY:
        return True
    places = map(place_of, externals)
    return any(place is not None and place.many for place in places)


def _first_stale(arg: Encoded) -> External | None:
    return next((external for external in arg.externals if not stands(external)), None)
