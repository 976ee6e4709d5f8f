"""The order of a repair: what builds on something is mended after it, until a check finds nothing that can be mended.

1. what is derived and damaged goes. 2. objects are had back from the trash or their files. 3. what is damaged is taken
out, what is missing declared lost. 4. the cache forgets what keeps the next run from making it again. 5. names lead to
what is there. 6. runs that died are sealed. Each step leaves a store that another repair can go on with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from redun.core.errors import StoreDamaged, StoreLocked
from redun.store import locks
from redun.store.indexes import catch_up
from redun.store.lost import losses
from redun.store.mending import cache, damaged, names, runs
from redun.store.mending.records import Repaired
from redun.store.mending.work import Work
from redun.store.problems import Problem, Progress

FROM_COPY: Final = "put the store back from a backup, or remove its directory and begin anew"
Check = Callable[[int, Progress], Iterator[Problem]]

#: A repair brings to light what was hidden by the damage; nothing has more layers than these.
_ROUNDS: Final = 6
#: Names and cache lead to objects, so whatever was asked for, they are looked at once objects were taken out. No
#: deeper: what is derived is made anew, and the form of an object does not change.
_NEXT_LEVEL: Final = 2


def mend_alone(work: Work, session: locks.Held | None, check: Check, level: int, progress: Progress) -> Repaired:
    """Mends a store that others may have open.

    Args:
        session: the lock of its open; None where the caller sees to it that nobody else has it open for writing.

    Raises:
        StoreLocked: if somebody else has it open for writing.
    """
    if session is None:
        return mend(work, check, level, progress)
    directory = session.path.parent
    turn = locks.take(directory / "gc.lock")
    if turn is None:
        raise StoreLocked(f"gc is at work in {directory}", path=str(directory), hint="let it end")
    try:
        if not session.try_alone():
            raise in_use(str(directory))
        return mend(work, check, level, progress)
    finally:
        session.share()
        turn.release()


def in_use(path: str) -> StoreLocked:
    """Returns the error for a store that somebody else has open for writing."""
    return StoreLocked(f"{path} is open elsewhere, and a repair needs it alone", path=path, hint="let its runs end")


def mend(work: Work, check: Check, level: int, progress: Progress) -> Repaired:
    """Mends a store that nobody else has open for writing."""
    work.progress = progress
    work.blobs.clear_incoming()
    problems: list[Problem] = []
    formed_so: dict[Problem, None] = {}
    try:
        for number in range(_ROUNDS):
            problems = list(check(level, progress))
            done = len(work.done)
            if any(problem.what == "file" for problem in problems):
                break
            try:
                _round(work, problems)
                # In the first round also for a repair that was killed: it may have declared losses and not come here.
                if number == 0 or len(work.done) > done:
                    _finish(work)
            except StoreDamaged as error:  # the database itself found pages that it cannot read, as no check has
                problems = [Problem(0, "file", "data.mdb", error.message, FROM_COPY)]
                break
            if len(work.done) == done:
                break
            # What was put so stays so: it is not looked for again.
            formed_so |= dict.fromkeys(problem for problem in problems if problem.what == "malformed")
            level = _NEXT_LEVEL
        else:
            problems = list(check(level, progress))
    finally:
        work.aside.close()
    remaining = [*formed_so, *(problem for problem in problems if problem not in formed_so)]
    return Repaired(tuple(work.done), tuple(remaining), work.aside.where)


def _round(work: Work, problems: list[Problem]) -> None:
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(problem.what, []).append(problem.where)
    if problems and ("derived" in found or catch_up.read_state(work.backend) is not None):
        catch_up.drop(work.write)  # first: what is made anew from now on knows of what follows
        work.note("derived", "indexes", "indexes are removed: whoever asks them makes them again")
    if "trash" in found:
        swept = [bytes.fromhex(where) for where in found["trash"]]
        work.replace("trash", swept)
        for digest in swept:
            work.note(
                "trash", digest.hex(), f"{digest.hex()} was damaged in the trash, and is removed from it", lost=True
            )
    if "derived" in found:
        cache.mend_derived(work)
    damaged.take_out(work, [bytes.fromhex(where) for word in ("object", "blob") for where in found.get(word, ())])
    damaged.declare_missing(work, map(bytes.fromhex, found.get("pointer", ())))
    if "ref" in found or "reflog" in found:
        names.mend_names(work)
    if "run" in found:
        runs.mend_runs(work)
    if "memo" in found:
        cache.forget(work)


def _finish(work: Work) -> None:
    """Does what follows from a repair."""
    if any(True for _ in losses(work.backend)):
        cache.forget(work)
    with suppress(StoreDamaged):  # what is in its way is a problem of its own
        work.journal.seal_dead_runs()
