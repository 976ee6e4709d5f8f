"""Checks that several processes share find what one finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.core.codec import Pointer, pack
from redun.core.digest import Digest, Key
from redun.core.errors import StoreError
from redun.store import Batch, MemoUpdate, Problem, Store, check
from redun.store import check_apart as apart
from redun.store.check_apart import check_apart, workers_for
from redun.store.checks import all_parts
from redun.store.problems import no_progress


@pytest.fixture(params=["xxh3-128", "sha256"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store with three hundred values that point to each other, and cache rows."""
    with Store.init(tmp_path / "s", object_format=request.param) as made:
        before: list[Pointer] = []
        digest = Digest(b"")
        for number in range(300):
            digest = made.put("value", pack([number, *before]))
            before = [Pointer(digest)]
            key = Key(number.to_bytes(2, "big") * 8)
            made.commit(Batch({}, [MemoUpdate(key, "task", digest, False, None, None)]))
        made.set_ref("last", digest, expected=None, reason="test")
        yield made


def _apart(store: Store, level: int, workers: int = 2) -> list[Problem]:
    return sorted(check_apart(store, level=level, workers=workers, progress=no_progress))


def _damage(store: Store) -> None:
    digests = [digest for digest, _ in store.objects()]

    def write(txn: object) -> None:
        for place, digest in enumerate(digests):
            if place % 7 == 0:
                txn.delete("objects", digest)  # type: ignore[attr-defined]
            elif place % 11 == 0:
                txn.put("objects", digest, b"\0\0damaged")  # type: ignore[attr-defined]

    store._write(write)


@pytest.mark.parametrize("level", [1, 2, 4])
def test_a_sound_store_has_no_problems(store: Store, level: int) -> None:
    seen: dict[str, tuple[int, int]] = {}

    def progress(what: str, done: int, total: int) -> None:
        assert done >= seen.get(what, (0, 0))[0]
        seen[what] = done, total

    assert list(check_apart(store, level=level, workers=2, progress=progress)) == []
    assert seen["objects"] == (300, 300)
    assert seen.get("cache") == ((300, 300) if level >= 2 else None)


@pytest.mark.parametrize("level", [1, 2, 4])
def test_all_that_one_process_finds_is_found(store: Store, level: int) -> None:
    _damage(store)
    expected = sorted(store.check(level=level))
    assert len(expected) > 20
    assert _apart(store, level) == expected
    assert _apart(store, level, workers=3) == expected


def test_who_does_not_want_to_know_more_ends_the_processes(store: Store) -> None:
    _damage(store)
    found = check_apart(store, level=2, workers=2, progress=no_progress)
    next(found)
    found.close()  # type: ignore[attr-defined]


def test_a_process_that_dies_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_START", "import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)")
    (problem, *_) = _apart(store, 2)
    assert (problem.level, problem.what, problem.where) == (0, "file", "data.mdb")
    assert "ended with -9" in problem.message


def test_an_error_of_a_process_is_that_of_the_check(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    says = """import sys; sys.stdin.readline(); print('["error", "no right to read it", "ask"]', flush=True)"""
    monkeypatch.setattr(apart, "_START", says)
    with pytest.raises(StoreError, match="no right to read it"):
        _apart(store, 2)


def test_only_a_large_store_is_checked_by_several(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert workers_for(store) == 1
    monkeypatch.setattr(apart, "_MANY", 300)
    assert workers_for(Store.memory()) == 1
    monkeypatch.setattr("redun.store.fsck.workers_for", lambda store: 2)
    _damage(store)
    expected = sorted(store.check(level=2))
    assert store.path is not None
    path = store.path
    store.close()
    assert sorted(check(path, level=2)) == expected


@pytest.mark.parametrize("ranges", [1, 2, 3, 8, 32])
def test_ranges_cover_all_ids_once(ranges: int) -> None:
    parts = [part for part in all_parts(1, ranges) if part.what == "objects"]
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert (parts[0].start, parts[-1].stop) == (b"", b"")
    assert len(parts) == ranges
    assert parts == sorted(parts, key=lambda part: part.start)
