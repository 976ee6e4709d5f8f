"""The process in which one contestant is timed: `python -m benchmarks.stores.child JSON`, in any environment."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from benchmarks.measure import Sample
from benchmarks.stores.contents import batches, some
from benchmarks.stores.contestants import Batched, Contestant, contestant

#: Reads between two looks at the clock.
_STEP = 1_000


class _Watch:
    """Adds up what calls take; what happens between them is not counted."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def of(self, function: Callable[[], Any]) -> Any:
        cpu, wall = time.process_time(), time.perf_counter()
        result = function()
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu
        return result

    def by(self, count: int) -> Sample:
        return Sample(self.wall / count, self.cpu / count)


def run(wish: dict[str, Any]) -> dict[str, Any]:
    """Puts all values, then reads some; returns the seconds that each value took and the bytes on the disk.

    Raises:
        RuntimeError: if a value does not come back as it was.
    """
    directory = Path(wish["directory"])
    who = contestant(wish["who"], directory)
    os.sync()  # what others have written would be waited for here
    watch, keys = _Watch(), list[bytes]()
    for items in batches(wish["count"], wish["batch"], wish["least"], wish["most"]):
        keys += watch.of(partial(who.put, items))
    told: dict[str, Any] = {"put": watch.by(len(keys))}
    _check(who, keys, wish)
    told["bytes"] = sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))
    who.close()
    os.sync()
    who = contestant(wish["who"], directory)
    told |= _reads(who, some(keys, wish["reads"]), wish)
    who.close()
    return told


def _check(who: Contestant, keys: Sequence[bytes], wish: dict[str, Any]) -> None:
    first = next(batches(wish["count"], wish["batch"], wish["least"], wish["most"]))
    if any(who.get(key) != value for key, (_, value) in zip(keys, first[:20], strict=False)):
        raise RuntimeError("a value came back as another")
    if who.has(bytes(len(keys[0]))):
        raise RuntimeError("something is there that was not put")


def _reads(who: Contestant, keys: list[bytes], wish: dict[str, Any]) -> dict[str, Sample]:
    told: dict[str, Sample] = {}
    steps = [keys[first : first + _STEP] for first in range(0, len(keys), _STEP)]
    if wish["warm"]:
        for key in keys:
            who.get(key)

    def over(function: Callable[[list[bytes]], Any]) -> Sample:
        watch = _Watch()
        for step in steps:
            watch.of(partial(function, step))
        return watch.by(len(keys))

    def each(function: Callable[[bytes], Any]) -> Callable[[list[bytes]], None]:
        def call(step: list[bytes]) -> None:
            for key in step:
                function(key)

        return call

    told["get"] = over(each(who.get))
    if hasattr(who, "get_many") and wish["batch"] > 1:
        steps = [keys[first : first + wish["batch"]] for first in range(0, len(keys), wish["batch"])]
        told["get_many"] = over(cast(Batched, who).get_many)
    told["has"] = over(each(who.has))
    return told


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
