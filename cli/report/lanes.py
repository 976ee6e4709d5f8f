"""Lanes: jobs that ran beside each other, drawn beside each other."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def lanes(spans: Sequence[tuple[int, int]]) -> list[int]:
    """Returns a lane for each (start, duration): the lowest that is free when it starts, as workers take up jobs."""
    found = [0] * len(spans)
    free: list[int] = []
    taken: list[tuple[int, int]] = []
    for place in sorted(range(len(spans)), key=lambda i: spans[i]):
        start, duration = spans[place]
        while taken and taken[0][0] <= start:
            heapq.heappush(free, heapq.heappop(taken)[1])
        lane = heapq.heappop(free) if free else len(taken)
        found[place] = lane
        heapq.heappush(taken, (start + max(duration, 1), lane))
    return found
