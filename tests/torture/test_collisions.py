"""Crafted xxh3-128 collisions, many: every length, and two processes that race for the file of one id."""

from __future__ import annotations

from pathlib import Path

import pytest

from redun.core import limits
from redun.core.codec import pack
from redun.core.digest import XXH3_128
from redun.core.errors import DigestCollision
from redun.core.frame import object_id
from redun.store import Store
from tests.store.collisions import values
from tests.store.test_collisions import race


def _made(size: int, free: int) -> tuple[bytes, bytes] | None:
    try:
        return values(size, free)
    except ValueError:
        return None


def test_pairs_of_every_length_collide_and_are_refused(tmp_path: Path) -> None:
    made = {size: found for size in range(10, 6000) if (found := _made(size, 2**40 + size)) is not None}
    assert len(made) > 5900
    with Store.init(tmp_path) as store:
        ids = store.put_many([("value", pack(one)) for one, _ in made.values()])
        for digest, (one, two) in zip(ids, made.values(), strict=True):
            assert one != two
            assert object_id(XXH3_128, "value", pack(two)) == digest
        for size in range(37, 6000, 97):
            if size in made:
                with pytest.raises(DigestCollision):
                    store.put("value", pack(made[size][1]))
        assert [payload for _, payload in filter(None, store.get_many(ids))] == [pack(one) for one, _ in made.values()]


@pytest.mark.parametrize("size", [300, limits.INLINE_BYTES + 100])
def test_two_processes_race_for_one_id(tmp_path: Path, size: int) -> None:
    Store.init(tmp_path).close()
    race(tmp_path, size, 300)
