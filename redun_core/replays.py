"""The jobs that a whole replay stands for. They have no rows; a walk over the calls gives them back, always the same.

A call that comes up again is not walked into again: in a first run the second job of a key joins the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from redun.core.digest import Digest
from redun.core.objects import CallRecord


def inner_calls(root: Digest, children: Callable[[Digest], Sequence[Digest | None]]) -> Iterator[tuple[int, Digest]]:
    """Yields (depth below the root, call) of every job inside the replay of `root`, depth first, parents first.

    Args:
        root: the replayed call; it is not yielded itself.
        children: the child calls of a call, None where a branch was not evaluated.
    """
    seen = {root}
    stack = [(1, child) for child in reversed(children(root)) if child is not None]
    while stack:
        depth, call = stack.pop()
        yield depth, call
        if call not in seen:
            seen.add(call)
            stack += [(depth + 1, child) for child in reversed(children(call)) if child is not None]


def made_by(call: CallRecord) -> tuple[Digest | None, ...]:
    """Returns the calls that a call made, in the order in which a first run numbers their jobs: those of defaults and
    options, then those of its reduction."""
    return (*call.extras, *call.children)
