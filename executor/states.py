"""The states of a job and the moves between them: the table that the evaluator obeys.

    NEW -> WAITING -> KEYED -> HIT | JOINED | QUEUED -> RUNNING -> REDUCING -> DONE | FAILED | CANCELLED

A pool may hand a job back that it has not begun, and a body that failed may be tried again: RUNNING -> QUEUED. A job
that joined another whose failure it is not to share asks for itself: JOINED -> KEYED. A step whose awaited values come
out differently is no answer: REDUCING -> QUEUED.

Any other move is a fault of ours and raises. `SEMANTICS.md` draws the same table.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from redun.core.errors import InternalError


class State(IntEnum):
    """Where a job is.

    NEW: made from an expression. WAITING: for its arguments. KEYED: its key is known, the store is being asked.
    HIT: answered from the store. JOINED: waits for the same computation in this run. QUEUED: to be run. RUNNING: its
    body runs. REDUCING: what its body returned is being evaluated. DONE, FAILED, CANCELLED: ended.
    """

    NEW = 0
    WAITING = 1
    KEYED = 2
    HIT = 3
    JOINED = 4
    QUEUED = 5
    RUNNING = 6
    REDUCING = 7
    DONE = 8
    FAILED = 9
    CANCELLED = 10


_S = State
MOVES: Final[dict[State, frozenset[State]]] = {
    _S.NEW: frozenset({_S.WAITING}),
    _S.WAITING: frozenset({_S.KEYED, _S.REDUCING, _S.FAILED, _S.CANCELLED}),
    _S.KEYED: frozenset({_S.HIT, _S.JOINED, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.HIT: frozenset({_S.REDUCING, _S.DONE}),
    _S.JOINED: frozenset({_S.KEYED, _S.DONE, _S.FAILED, _S.CANCELLED}),
    _S.QUEUED: frozenset({_S.RUNNING, _S.FAILED, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.QUEUED, _S.REDUCING, _S.DONE, _S.FAILED, _S.CANCELLED}),
    _S.REDUCING: frozenset({_S.QUEUED, _S.DONE, _S.FAILED, _S.CANCELLED}),
    _S.DONE: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}
#: For each state a set of bits: the states that it may be followed by.
ALLOWED: Final = tuple(sum(1 << new for new in MOVES[old]) for old in State)
ENDED: Final = frozenset({State.DONE, State.FAILED, State.CANCELLED})


def wrong_move(old: State, new: State) -> InternalError:
    """Returns the error of a move that the table does not have."""
    return InternalError(f"a job cannot go from {old.name} to {new.name}")
