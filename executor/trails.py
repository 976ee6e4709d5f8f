"""Which states files came through while a run went on, and which of them no later run needs to find.

A workflow may write a path and edit it later: of the states that its calls name, only the last is there in the end.
Within a subtree whose calls made all of them, the earlier ones are *past*: a later run that finds the last one finds
what a run from nothing would leave, and replays the subtree whole (decision 0032). That is not so where the first state
of a path was only met and not made, or where it changed in between without anybody naming it.

Nothing is gathered here by runs whose calls name no files, and nothing is computed before a path has a second state.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from redun.core.digest import Digest
from redun.core.files.places import Place, place_of
from redun.core.files.written import writers_since, written_at
from redun.core.forms import short_id
from redun.core.objects import How, job_id
from redun.core.values import Encoder, External
from redun.executor.inputs import Ids
from redun.executor.jobs import Job, Unit

if TYPE_CHECKING:
    from redun.core.files.sets import FileSet

#: Of a run's values: id, the value, whether a body made it whatever there was before.
Found = tuple[Digest, External, bool]
#: Paths told of when a run ends.
_TOLD: Final = 5
#: Members of the largest set that is followed when one of them is written alone.
_FOLLOWED: Final = 10_000
_NOTHING: Final[frozenset[Digest]] = frozenset()


class Mention(NamedTuple):
    """A job named a state of a place.

    Attributes:
        order: when, among all mentions of the run.
        state: id of the value.
        made: whether the job's body brought the place to that state, whatever it was before; else it only met it.
        after: the state that the body was given and changed, where it was one of its arguments.
        files: of a set, it as it was then.
        named: whether a value names the state; else it follows from what was done to a member.
    """

    order: int
    state: Digest
    made: bool
    after: Digest | None
    job: Job
    files: FileSet | None = None
    named: bool = True


#: Mentions with the number of the unit that they came by, -1 for the job itself.
_Trail = list[tuple[Mention, int]]


class Trails:
    """The states of files in one run.

    Attributes:
        id: gives the ids of external values.
    """

    def __init__(self, encoder: Encoder, inside: Callable[[Digest], Iterable[Found]], uuid: bytes = b"") -> None:
        self._encoder = encoder
        self.id = Ids(encoder)
        self._uuid = uuid
        self._inside = inside
        self._orders = 0
        #: All mentions of a place, oldest first.
        self._log: dict[Place, list[Mention]] = {}
        #: Places that were in more than one state, and the mentions of these in subtrees of jobs that are recorded.
        self._contested: set[Place] = set()
        self._trails: dict[Job, dict[Place, list[Mention]]] = {}
        self._past: dict[Job, frozenset[Digest]] = {}
        self._followers: dict[Job, list[Job]] = {}
        #: Whole replays whose files are not in the log: they matter once a body has named one.
        self._folded: list[Job] = []
        self._opened = False
        #: Sets of files that bodies have made, as they were last, with their first members.
        self._sets: dict[Place, tuple[Mention, Mapping[str, bytes]]] = {}
        #: Places that several bodies wrote at once, and the job of one of them.
        self._raced: dict[Place, Job] = {}
        #: Jobs that wrote a place one after the other, by that and their tasks: the first of each.
        self._clashes: dict[tuple[Place, str, str], tuple[Job, Job]] = {}

    # -- what happens -------------------------------------------------------------------------------------------------

    def returned(self, job: Job, began: int, ended: int) -> None:
        """A body has returned external values. `began`, `ended`: when it did, on the performance counter."""
        assert job.reduction is not None
        given: dict[Place, Digest] = {}
        for arg in job.args:
            for external in arg.externals:
                place = place_of(external)
                if place is not None:
                    given[place] = self.id(external)
        made = set()
        for external in job.reduction.externals:
            place = place_of(external)
            if place is None:
                continue
            self._open()
            state, before = self.id(external), given.get(place)
            changed = before != state if before is not None else self._is_made(job, external, state, began)
            if changed:
                made.add(state)
                if writers_since(place.path, began) > 1 or written_at(place.path) > ended:  # whose state is it?
                    job.unkept = f"another body wrote {place.path} meanwhile"
                    self._raced.setdefault(place, job)
            self._add(job, place, external, changed, before if changed else None)
            if changed and self._sets and not place.many:
                self._change_sets(job, place, external)
        if made:
            job.wrote = frozenset(made)

    def met(self, job: Job, externals: Iterable[External], made: frozenset[Digest] = frozenset()) -> None:
        """A job has named external values that are as it names them: by its defaults, or as it did in an earlier run,
        when its body made some of them."""
        for external in externals:
            place = place_of(external)
            if place is not None:
                self._add(job, place, external, self.id(external) in made, None)
        if made:
            job.wrote = made

    def replayed(self, job: Job) -> None:
        """A whole replay has answered a job."""
        if self._opened:
            self._unfold(job)
        else:
            self._folded.append(job)

    def followed(self, job: Job, leader: Job) -> None:
        """A job has joined another one, whose footprint is now also part of that of the job around it."""
        if leader.ext is not None:
            self._followers.setdefault(leader, []).append(job)

    def changed_by(self, external: External) -> str:
        """Returns which job brought the thing that it is a state of to another one, for people; empty where none did
        that is known."""
        place = place_of(external)
        log = None if place is None else self._log.get(place)
        if not log or not log[-1].made or log[-1].state == self.id(external):
            return ""
        return self._named(log[-1].job)

    def warnings(self) -> Iterator[str]:
        """Yields what is to be told when the run ends: the first paths that jobs wrote in no order."""
        for place, job in list(self._raced.items())[:_TOLD]:
            yield (
                f"{place.path} was written by several bodies at once, one of them that of {self._named(job)}, whose "
                "result is not cached: give each a path of its own, or pass what one returns to the other"
            )
        for (place, _, _), (first, second) in list(self._clashes.items())[:_TOLD]:
            yield (
                f"{place.path} was written by {self._named(first)} and again by {self._named(second)}, and no result "
                "leads from one to the other: give each a path of its own, or pass what one returns to the other"
            )
        more = len(self._clashes) - _TOLD
        if more > 0:
            yield f"{more:,} more path{'s were' if more > 1 else ' was'} written twice in no order"

    def _named(self, job: Job) -> str:
        digest = job_id(self._encoder.format.hash, self._uuid, job.number)
        return f"{job.task.fullname} (job {short_id(digest)})"

    def _is_made(self, job: Job, external: External, state: Digest, began: int) -> bool:
        """Whether a body made a state whatever there was before: another one was there when the job was looked up, or
        it was written since the body began."""
        place = place_of(external)
        if place is None or not place.many:
            return any(before == state for before, _ in job.stale) or _is_written(external.describe(), began)
        paths = [file.path for file in external]  # type: ignore[attr-defined]  # a set gives its files
        return bool(paths) and all(_is_written(path, began) for path in paths)

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            for job in self._folded:
                self._unfold(job)
            self._folded.clear()

    def _unfold(self, job: Job) -> None:
        found: dict[Place, tuple[External, bool]] = {}
        for _, external, made in () if job.head is None else self._inside(job.head):
            place = place_of(external)
            if place is not None:
                found[place] = external, made or found.get(place, (external, False))[1]
        for place, (external, made) in found.items():
            self._add(job, place, external, made, None)

    def _change_sets(self, job: Job, place: Place, external: External) -> None:
        """A body has made a file: where that is a member of sets that bodies of this run have made, they are in another
        state now, which nobody has named yet."""
        for _, files, name in list(self._sets_with(place)):
            members = dict(files.members())
            state = external.state()  # type: ignore[attr-defined]  # a file has one
            if members.get(name) == state:
                continue
            if state is None:
                del members[name]
            else:
                members[name] = state
            now = type(files).known(files.pattern, files.hidden, files.by, dict(sorted(members.items())))
            set_place = place_of(now)
            assert set_place is not None
            before = self.id(files)
            self._add(job, set_place, now, True, before, named=False)

    def _sets_with(self, place: Place) -> Iterator[tuple[Mention, FileSet, str]]:
        """Yields sets that bodies have made, and that a file is or was in, with the name of that there."""
        for mention, names in self._sets.values():
            files = mention.files
            if files is None or files.by != place.by or len(files.members()) > _FOLLOWED:
                continue
            base = files.base
            name = place.path.removeprefix("" if base == "." else base.rstrip("/") + "/")
            if name in names:
                yield mention, files, name

    def _made_with(self, place: Place, external: External, state: Digest) -> list[Mention]:
        """The mention of a file that is met, and that a body has made as member of a set."""
        for mention, files, name in self._sets_with(place):
            if files.members().get(name) == external.state():  # type: ignore[attr-defined]  # a file has one
                found = Mention(mention.order, state, True, None, mention.job)
                mention.job.mentions.append((place, found))
                return [found]
        return []

    def _add(
        self, job: Job, place: Place, external: External, made: bool, after: Digest | None, *, named: bool = True
    ) -> None:
        self._orders += 1
        state = self.id(external)
        files: FileSet | None = external if place.many else None  # type: ignore[assignment]  # that is what many are
        mention = Mention(self._orders, state, made, after, job, files, named)
        if files is not None and made:
            names = self._sets[place][1] if place in self._sets else files.members()
            self._sets[place] = mention, names
        if not job.mentions:
            job.mentions = []
        job.mentions.append((place, mention))
        log = self._log.setdefault(place, [])
        fresh = [mention]
        if self._sets and not (made or place.many) and (not log or log[-1].state != state):
            fresh = [*self._made_with(place, external, state), mention]
        for each in fresh:
            self._append(log, place, each)

    def _append(self, log: list[Mention], place: Place, mention: Mention) -> None:
        if log and place not in self._contested and log[-1].state != mention.state:
            self._contested.add(place)
            for earlier in log:
                self._push(place, earlier)
        log.append(mention)
        if place in self._contested and (mention.job.how is How.WHOLE or mention.job.head is not None):
            self._push(place, mention)

    def _push(self, place: Place, mention: Mention) -> None:
        """Tells the jobs that are recorded, and that have a mention below them, of it. Others will gather it."""
        stack = [mention.job]
        while stack:
            job = stack.pop()
            if job.head is None:
                continue
            trail = self._trails.setdefault(job, {}).setdefault(place, [])
            if mention in trail:
                continue
            trail.append(mention)
            stack += [follower.scope for follower in self._followers.get(job, ()) if follower.scope is not None]
            if job.scope is not None:
                stack.append(job.scope)

    # -- what comes of it ---------------------------------------------------------------------------------------------

    def past(self, job: Job, units: Sequence[Unit | None], own: list[Digest]) -> tuple[Digest, ...]:
        """Returns which values are past in the subtree of a job that has ended and is being recorded.

        Args:
            units: what it called.
            own: its own external values; what its subtree has left, and no value of it names, is added.
        """
        if not self._contested:
            return ()
        trails, sources = self._gather(job, units)
        if not trails:
            return ()
        self._trails[job] = {place: [mention for mention, _ in trail] for place, trail in trails.items()}
        found: dict[Digest, None] = {}
        for place, trail in trails.items():
            if self._is_consistent(trail):
                found.update((state, None) for state in _earlier(trail))
                if not trail[-1][0].named:
                    own.append(trail[-1][0].state)
                self._compare(job, place, trail)
        known = [self._past.get(origin, _NOTHING) for origin in sources.values()]
        self._past[job] = frozenset(found).union(*known)
        mine = set(own)
        needed = {
            mention.state
            for trail in trails.values()
            for mention, source in trail
            if source < 0 or mention.state not in self._past.get(sources[source], _NOTHING)
        }
        return tuple(sorted(state for state in found if state in mine or state in needed))

    def _gather(self, job: Job, units: Sequence[Unit | None]) -> tuple[dict[Place, _Trail], dict[int, Job]]:
        """The mentions in the subtree of a job, by place and in their order, and what they came by."""
        trails: dict[Place, _Trail] = {}
        seen: set[tuple[Place, int, Digest]] = set()
        sources: dict[int, Job] = {}
        for place, mention in job.mentions:
            if place in self._contested:
                trails.setdefault(place, []).append((mention, -1))
        for number, unit in enumerate(units):
            origin = _origin(unit)
            if isinstance(unit, Job) and unit is not origin:  # what it shares was looked at once more
                for place, mention in unit.mentions:
                    if place in self._contested:
                        trails.setdefault(place, []).append((mention, number))
                        sources[number] = origin or unit
            below = None if origin is None else self._trails.get(origin)
            if origin is None or below is None:
                continue
            sources[number] = origin
            for place, mentions in below.items():
                trail = trails.setdefault(place, [])
                for mention in mentions:
                    key = (place, mention.order, mention.state)
                    if key not in seen:
                        seen.add(key)
                        trail.append((mention, number))
        for trail in trails.values():
            trail.sort(key=lambda item: item[0].order)
        return trails, sources

    def _is_consistent(self, trail: _Trail) -> bool:
        """Whether all states were made here, one after the other. Whoever makes a set of files names with it what lies
        there besides: so the last state may have no members that an earlier one has not."""
        state: Digest | None = None
        last = trail[-1][0].files
        for mention, _ in trail:
            if mention.state != state and not mention.made:
                return False
            files = mention.files if mention.named else None
            if last is not None and files is not None and last.members().keys() - files.members().keys():
                return False
            state = mention.state
        return True

    def _compare(self, job: Job, place: Place, trail: _Trail) -> None:
        """Notes jobs that made one state after the other although nothing says that they are to do so in this order."""
        for (before, first), (then, second) in pairwise(trail):
            if before.state == then.state or then.after == before.state or first in (-1, second):
                continue
            key = (place, before.job.task.fullname, then.job.task.fullname)
            if key not in self._clashes and not _comes_after(job, second, first):
                self._clashes[key] = before.job, then.job


def _is_written(path: str, began: int) -> bool:
    """Whether a file was written since then."""
    if written_at(path) >= began:
        return True
    try:
        changed = os.stat(path).st_mtime_ns  # not of the ctime: another mode or link makes no content
    except (OSError, ValueError):  # also what lies elsewhere: what is not known to be made is met
        return False
    return changed >= time.time_ns() - (time.perf_counter_ns() - began)


def _earlier(trail: _Trail) -> Iterator[Digest]:
    last = trail[-1][0].state
    return (mention.state for mention, _ in trail if mention.state != last)


def _origin(unit: Unit | None) -> Job | None:
    """The job whose footprint a unit has."""
    if not isinstance(unit, Job):
        return None
    while unit.how is How.JOINED and unit.leader is not None:
        unit = unit.leader
    return unit


def _comes_after(job: Job, later: int, earlier: int) -> bool:
    """Whether one unit of a job waits for another. Of those that a scheduler task or a default has made, the order is
    taken for meant."""
    nodes = () if job.reduction is None else job.reduction.nodes
    if later >= len(nodes) or earlier >= len(nodes):
        return True
    seen = set()
    stack = [later]
    while stack:
        number = stack.pop()
        if number == earlier:
            return True
        if number not in seen:
            seen.add(number)
            node = nodes[number]
            stack += node.inputs()
    return False
