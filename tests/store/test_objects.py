from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redun.core import limits
from redun.core.codec import Pointer, pack
from redun.core.digest import Digest, Key, ObjectFormat
from redun.core.errors import DigestCollision, NotFound, StoreDamaged, StoreError, StoreReadOnly
from redun.core.frame import frame, object_id
from redun.core.objects import SourceRecord, Status
from redun.store import Batch, MemoUpdate, Store
from redun.store.blobs import FileBlobs, MemoryBlobs
from redun.store.lmdb_backend import LmdbBackend
from redun.store.locks import FileRunLocks, MemoryRunLocks
from redun.store.memory_backend import MemoryBackend
from redun.store.meta import Format, make_directories

LARGE = bytes(range(256)) * (4 * limits.KIB) + b"end"


def test_an_object_is_named_by_the_hash_of_its_frame(store: Store) -> None:
    digest = store.put("value", pack([1, 2]))
    assert digest == store.format.hash(frame("value", pack([1, 2])))
    assert store.get(digest) == ("value", pack([1, 2]))
    assert store.has(digest)


def test_put_of_same_bytes_is_one_object(store: Store) -> None:
    assert store.put("value", b"\x01") == store.put("value", b"\x01")
    assert len(store.resolve("", 99)) == 1


def test_the_same_bytes_of_another_kind_are_another_object(store: Store) -> None:
    payload = SourceRecord("x").payload()
    first, second = store.put_many([("source", payload), ("value", payload)])
    assert first != second
    assert store.get_many([second, first]) == [("value", payload), ("source", payload)]


def test_what_is_not_there_is_none_among_many_and_an_error_alone(store: Store) -> None:
    there, missing = store.put("value", b"\x01"), Digest(bytes(store.format.size))
    assert store.get_many([missing, there, missing]) == [None, ("value", b"\x01"), None]
    assert not store.has(missing)
    for read in (store.get, store.open_blob):
        with pytest.raises(NotFound, match=missing.hex()):
            read(missing)


@pytest.mark.parametrize("kind", ["blob", "value", "expr"])
def test_a_large_payload_of_any_kind_comes_back(store: Store, kind: str) -> None:
    digest = store.put(kind, LARGE)
    assert digest == object_id(store.format, kind, LARGE)
    assert store.get(digest) == (kind, LARGE)
    assert bytes(store.open_blob(digest)) == LARGE
    assert store.put(kind, LARGE) == digest


def test_a_payload_at_the_limit_is_inline_and_one_above_has_a_file(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        inline = store.put("blob", bytes(limits.INLINE_BYTES))
        outside = store.put("blob", bytes(limits.INLINE_BYTES + 1))
        files = [path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
        assert files == [outside.hex()]
        assert len(store.get(inline)[1]) == limits.INLINE_BYTES
        assert list((tmp_path / "incoming").iterdir()) == []


def test_a_streamed_blob_has_the_id_of_the_whole(store: Store) -> None:
    parts = [LARGE[i : i + 100_000] for i in range(0, len(LARGE), 100_000)]
    digest = store.put_blob(map(memoryview, parts), len(LARGE))
    assert digest == object_id(store.format, "blob", LARGE)
    assert bytes(store.open_blob(digest)) == LARGE
    assert store.put_blob(iter(parts), len(LARGE)) == digest


def test_a_small_streamed_blob_is_an_object_like_others(store: Store) -> None:
    digest = store.put_blob([b"ab", memoryview(b"c")], 3)
    assert store.get(digest) == ("blob", b"abc")
    assert store.put_blob([], 0) == object_id(store.format, "blob", b"")


@pytest.mark.parametrize("size", [5, limits.MIB * 2])
def test_a_stream_of_another_size_than_announced_stores_nothing(store: Store, size: int) -> None:
    with pytest.raises(ValueError, match="announced"):
        store.put_blob([b"abc"], size)
    assert store.resolve("", 9) == []


def test_a_failed_stream_leaves_no_file(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield bytes(limits.MIB)
        raise KeyError("stop")

    with Store.init(tmp_path) as store:
        with pytest.raises(KeyError):
            store.put_blob(parts(), 2 * limits.MIB)
        assert [p for name in ("incoming", "blobs") for p in (tmp_path / name).iterdir()] == []


def test_an_opened_blob_outlives_the_store(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        view = store.open_blob(store.put("blob", LARGE))
    assert bytes(view) == LARGE


def test_an_object_too_large_for_memory_is_only_mapped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = store.put("blob", LARGE)
    monkeypatch.setattr(limits, "OBJECT_BYTES", limits.MIB)
    with pytest.raises(StoreError, match="open_blob"):
        store.get(digest)
    assert bytes(store.open_blob(digest)) == LARGE
    assert [len(payload) for _, _, payload in store.walk([digest])] == [len(LARGE)]


def test_resolve_finds_every_prefix_of_an_id(store: Store) -> None:
    digests = store.put_many([("value", pack(i)) for i in range(40)])
    for length in range(2 * store.format.size + 1):
        found = store.resolve(digests[7].hex()[:length], limit=99)
        assert ("value", digests[7]) in found
        assert all(d.hex().startswith(digests[7].hex()[:length]) for _, d in found)
    assert [d for _, d in store.resolve("", limit=99)] == sorted(digests)


def test_resolve_stops_at_its_limit_and_answers_nonsense_with_nothing(store: Store) -> None:
    store.put_many([("value", pack(i)) for i in range(40)])
    assert len(store.resolve("")) == 20
    assert len(store.resolve("", limit=3)) == 3
    some = store.resolve("", 1)[0][1].hex()
    assert store.resolve(some.upper()) == store.resolve(some)
    for nonsense in ("xyz", "0x12", some + "0", " " + some[:4], some[:4] + " "):
        assert store.resolve(nonsense) == []


def test_walk_reaches_everything_once(store: Store) -> None:
    leaf, other = store.put_many([("value", pack("leaf")), ("blob", LARGE)])
    middle = store.put("value", pack([Pointer(leaf), Pointer(other), Pointer(leaf)]))
    root = store.put("value", pack({"a": [Pointer(middle)], "b": Pointer(leaf)}))
    store.put("value", pack("unrelated"))
    walked = list(store.walk([root, root, leaf]))
    assert sorted(d for d, _, _ in walked) == sorted([leaf, other, middle, root])
    assert {(d, kind, bytes(payload)) for d, kind, payload in walked} >= {(other, "blob", LARGE)}


def test_walk_of_a_long_chain_is_no_recursion(store: Store) -> None:
    objects: dict[Digest, tuple[str, bytes]] = {}
    last: Digest | None = None
    for number in range(5000):
        payload = pack([number, None if last is None else Pointer(last)])
        last = object_id(store.format, "value", payload)
        objects[last] = ("value", payload)
    assert last is not None
    store.commit(Batch(objects))
    assert sum(1 for _ in store.walk([last])) == 5000


def test_walk_names_what_is_missing(store: Store) -> None:
    missing = Digest(b"m" * store.format.size)
    root = store.put("value", pack([Pointer(missing)]))
    with pytest.raises(NotFound, match=missing.hex()):
        list(store.walk([root]))


# -- damage -----------------------------------------------------------------------------------------------------------


def _flip(store: Store, digest: Digest, bit: int) -> None:
    def flip(txn: object) -> None:
        data = bytearray(txn.get("objects", digest))  # type: ignore[attr-defined]
        data[bit // 8] ^= 1 << bit % 8
        txn.put("objects", digest, bytes(data))  # type: ignore[attr-defined]

    store._backend.write(flip)


def test_every_flipped_bit_of_an_object_is_noticed(store: Store) -> None:
    payload = SourceRecord("def f(): return 1").payload()
    digest = store.put("source", payload)
    for bit in range(8 * (len(payload) + 2)):
        _flip(store, digest, bit)
        with pytest.raises(StoreDamaged):
            store.get(digest)
        _flip(store, digest, bit)
    assert store.get(digest) == ("source", payload)


def test_a_damaged_object_is_replaced_by_a_put_of_the_good_bytes(store: Store) -> None:
    digest = store.put("value", pack("good"))
    _flip(store, digest, 30)
    assert store.lookup({digest: ("value", pack("good"))}, []) == []
    assert store.put("value", pack("good")) == digest
    assert store.get(digest) == ("value", pack("good"))


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_file_is_noticed_and_replaced_by_a_put(tmp_path: Path, fmt: ObjectFormat, damage: str) -> None:
    with Store.init(tmp_path, object_format=fmt.name) as store:
        digest = store.put("blob", LARGE)
    (path,) = (p for p in (tmp_path / "blobs").rglob("*") if p.is_file())
    path.chmod(0o644)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(LARGE[:-1] if damage == "cut" else LARGE[:-1] + b"?")
    with Store.open(tmp_path) as store:
        with pytest.raises(StoreDamaged, match=digest.hex()):
            store.open_blob(digest)
        assert store.put_blob([LARGE], len(LARGE)) == digest
        assert store.get(digest) == ("blob", LARGE)


def test_a_file_that_no_row_names_is_no_object_and_does_no_harm(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        digest = object_id(store.format, "blob", LARGE)
        orphan = FileBlobs(tmp_path).path_of(digest)
        orphan.parent.mkdir()
        orphan.write_bytes(b"left behind by a crash")
        assert not store.has(digest)
        assert store.put("blob", LARGE) == digest
        assert store.get(digest) == ("blob", LARGE)


# -- collisions: a format whose hash is the first byte of the payload, so that they are easily had --------------------


class _FirstByte:
    """Hashes a frame to 16 times the first byte of its payload."""

    def __init__(self) -> None:
        self._data = b""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._data += bytes(data)

    def digest(self) -> bytes:
        return _weak_hash(self._data)


def _weak_hash(data: bytes) -> bytes:
    _, nul, payload = data.partition(b"\0")
    return payload[:1] * 16 if nul and payload else hashlib.md5(data, usedforsecurity=False).digest()


WEAK = ObjectFormat("weak", 16, _weak_hash, _FirstByte)


@pytest.fixture(params=["memory", "lmdb"])
def weak(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store in which objects that start with the same byte collide."""
    fmt = Format(WEAK, bytes(16))
    if request.param == "memory":
        store = Store(fmt, MemoryBackend(), MemoryBlobs(), MemoryRunLocks(), path=None, read_only=False)
    else:
        make_directories(tmp_path)
        locks = FileRunLocks(tmp_path / "runs")
        store = Store(fmt, LmdbBackend(tmp_path), FileBlobs(tmp_path), locks, path=tmp_path, read_only=False)
    with store:
        yield store


def _kept(store: Store) -> list[tuple[bytes, bytes]]:
    if store.path is None:
        blobs = store._objects._blobs
        assert isinstance(blobs, MemoryBlobs)
        return [(stored, offered) for _, stored, offered in blobs.collisions]
    return [((d / "stored").read_bytes(), (d / "offered").read_bytes()) for d in (store.path / "collisions").iterdir()]


_Attempt = Callable[[Store, Digest, tuple[str, bytes]], object]
_ATTEMPTS: dict[str, _Attempt] = {
    "put": lambda store, digest, item: store.put(*item),
    "put_blob": lambda store, digest, item: store.put_blob([item[1]], len(item[1])),
    "lookup": lambda store, digest, item: store.lookup({digest: item}, []),
    "commit": lambda store, digest, item: store.commit(Batch({digest: item})),
}


@pytest.mark.parametrize("attempt", _ATTEMPTS)
@pytest.mark.parametrize("size", [10, limits.INLINE_BYTES + 10], ids=["inline", "file"])
def test_other_bytes_with_the_same_id_are_refused_and_both_are_kept(weak: Store, attempt: str, size: int) -> None:
    first, second = b"x" + bytes(size), b"x" + b"\1" * size
    digest = weak.put("blob", first)
    with pytest.raises(DigestCollision, match=digest.hex()):
        _ATTEMPTS[attempt](weak, digest, ("blob", second))
    assert weak.get(digest) == ("blob", first)
    assert _kept(weak) == [(frame("blob", first), frame("blob", second))]


def test_an_inline_object_and_a_large_one_collide_too(weak: Store) -> None:
    small, large = b"x", b"x" + bytes(limits.INLINE_BYTES)
    digest = weak.put("blob", small)
    with pytest.raises(DigestCollision):
        weak.put("blob", large)
    assert weak.get(digest) == ("blob", small)


def test_the_same_payload_of_another_kind_collides_in_a_weak_format(weak: Store) -> None:
    weak.put("value", b"xyz")
    with pytest.raises(DigestCollision):
        weak.put("source", b"xyz")


def test_a_collision_undoes_the_whole_batch(weak: Store) -> None:
    digest = weak.put("value", b"x1")
    run = weak.begin_run([], {})
    key = Key(b"k" * 16)
    update = MemoUpdate(key, "t", digest, False, digest, digest)
    others = {Digest(b"a" * 16): ("value", b"a"), Digest(b"z" * 16): ("value", b"z"), digest: ("value", b"x2")}
    with pytest.raises(DigestCollision):
        weak.commit(Batch(others, [update]))
    with pytest.raises(DigestCollision):
        run.seal(Batch(others, [update]), root=None, status=Status.DONE, rows=0, counts=(), sources=())
    assert weak.lookup({}, [key]) == [None]
    assert len(weak.resolve("")) == 1
    assert [live.uuid for live in weak.live_runs()] == [run.uuid]


def test_a_store_open_for_reading_takes_nothing(tmp_path: Path) -> None:
    Store.init(tmp_path).close()
    with Store.open(tmp_path, read_only=True) as store:
        attempts: list[Callable[[], object]] = [
            lambda: store.put("value", b"\x01"),
            lambda: store.put_blob([LARGE], len(LARGE)),
            lambda: store.commit(Batch()),
            lambda: store.begin_run([], {}),
            lambda: store.set_ref("a", None, expected=None, reason=""),
        ]
        for attempt in attempts:
            with pytest.raises(StoreReadOnly):
                attempt()
    assert [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()] == []
