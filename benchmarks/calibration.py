"""The yardstick: the same libraries in a straight loop, nothing of ours. What a job costs is compared with what an
object costs here, measured in the same minutes, so that a slower or busier machine does not look like slower code."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import lmdb
import msgpack
import xxhash

from benchmarks.measure import Sample, clocked

#: Never change this loop, nor these numbers: every recorded ratio is against them.
OBJECTS: Final = 20_000
_BATCH: Final = 1_000


def calibrate(directory: Path) -> Sample:
    """Packs, hashes and stores objects of about 60 bytes; returns what one of them took."""
    env = lmdb.open(str(directory), map_size=1 << 30, metasync=False, lib_version=0)
    pack = msgpack.Packer(strict_types=True).pack

    def loop() -> None:
        for first in range(0, OBJECTS, _BATCH):
            rows = []
            for number in range(first, first + _BATCH):
                payload = pack([1, number, "bench.step", [number, number + 1], {"name": "value", "number": number}])
                rows.append((xxhash.xxh3_128_digest(payload), payload))
            rows.sort()
            with env.begin(write=True) as txn:
                txn.cursor().putmulti(rows)

    try:
        took = clocked(loop)
    finally:
        env.close()
    return Sample(took.wall / OBJECTS, took.cpu / OBJECTS)
