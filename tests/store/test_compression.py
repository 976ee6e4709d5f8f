"""Objects that are kept compressed: which ones, and that nothing else about them is different."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redun.core import limits
from redun.core.codec import Pointer, pack
from redun.core.frame import object_id
from redun.core.objects import ExecRecord, Status
from redun.store import Digest, Store, StoreDamaged, StoreError, check
from redun.store.compression import packed, unpacked
from redun.store.objects import RAW, ZSTD
from tests.store.format_reader import Reader
from tests.store.format_reader import check as read_and_check

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    zstd = pytest.importorskip("backports.zstd")

TEXT = pack(" ".join(f"line {number} of a text" for number in range(2000)))
NOISE = pack(random.Random(5).randbytes(20_000))


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store that compresses."""
    made = Store.memory(compression="zstd") if request.param == "memory" else Store.init(tmp_path, compression="zstd")
    with made:
        yield made


def envelope(store: Store, digest: Digest) -> bytes:
    """Returns how an object is kept."""
    found = store._backend.read(lambda txn: txn.get("objects", digest))
    assert found is not None
    return found


def rewrite(store: Store, digest: Digest, env: bytes) -> None:
    """Keeps an object in another way."""
    store._backend.write(lambda txn: txn.put("objects", digest, env))


def test_what_becomes_smaller_is_compressed_and_read_as_it_was_put(store: Store) -> None:
    text, noise, short = store.put_many([("value", TEXT), ("value", NOISE), ("value", pack("x" * 400))])
    assert envelope(store, text)[0] == ZSTD
    assert len(envelope(store, text)) < len(TEXT) // 4
    assert envelope(store, noise)[0] == envelope(store, short)[0] == RAW
    assert store.get(text) == ("value", TEXT)
    assert store.get_many([noise, text]) == [("value", NOISE), ("value", TEXT)]
    assert bytes(store.open_blob(text)) == TEXT
    assert {kind for _, kind, _ in store.walk([text])} == {"value"}
    assert store.resolve(text.hex()[:8]) == [("value", text)]


def test_the_id_does_not_depend_on_compression(store: Store) -> None:
    assert store.put("value", TEXT) == object_id(store.format, "value", TEXT)
    with Store.memory() as plain:
        assert plain.put("value", TEXT) == store.put("value", TEXT)


def test_records_of_others_keep_the_name_of_their_kind(store: Store) -> None:
    digest = store.put("tool.thing", TEXT)
    assert envelope(store, digest)[0] == ZSTD
    assert store.get(digest) == ("tool.thing", TEXT)
    assert list(store.objects("tool.thing")) == [(digest, "tool.thing")]
    assert list(store.check()) == []


def test_calls_and_trees_are_not_tried() -> None:
    assert packed("call", TEXT) is None
    assert packed("tree", TEXT) is None
    assert packed("jobs", TEXT) is not None


def test_what_lies_in_a_file_is_left_as_it_is_and_mapped(store: Store) -> None:
    large = b"the same again " * 200_000
    digest = store.put_blob([large], len(large))
    assert store.open_blob(digest) == large
    assert store.put("blob", large) == digest
    assert envelope(store, digest)[0] == 2


@pytest.mark.parametrize("first", ["none", "zstd"])
def test_putting_again_is_harmless_however_it_is_kept(tmp_path: Path, first: Any) -> None:
    with Store.init(tmp_path / "s", compression=first) as store:
        digest = store.put("value", TEXT)
        before = envelope(store, digest)
    other: Any = {"none": "zstd", "zstd": "none"}[first]
    with Store.init(tmp_path / "s", compression=other) as store:
        assert store.compression == other
        assert store.put("value", TEXT) == digest
        assert envelope(store, digest) == before
        assert store.lookup({digest: ("value", TEXT)}, []) == []
    with Store.open(tmp_path / "s") as store:
        assert store.compression == other
    with Store.init(tmp_path / "s") as store:
        assert store.compression == other


def test_a_damaged_frame_is_an_error_and_is_replaced_by_who_has_the_bytes(store: Store) -> None:
    digest = store.put("value", TEXT)
    good = envelope(store, digest)
    rewrite(store, digest, good[:-20] + bytes(20))
    with pytest.raises(StoreDamaged, match=f"value {digest.hex()}"):
        store.get(digest)
    assert [(problem.what, problem.where) for problem in store.check()] == [("object", digest.hex())]
    store.put("value", TEXT)
    assert envelope(store, digest) == good
    assert list(store.check()) == []


def test_another_payload_in_the_frame_is_noticed(store: Store) -> None:
    digest = store.put("value", TEXT)
    other = packed("value", TEXT.replace(b"text", b"TEXT"))
    assert other is not None
    rewrite(store, digest, envelope(store, digest)[:2] + other)
    with pytest.raises(StoreDamaged, match="do not fit its id"):
        store.get(digest)
    assert len(list(store.check())) == 1


def test_pointers_in_compressed_objects_are_followed(store: Store) -> None:
    inner = store.put("value", pack("inner"))
    outer = store.put("value", pack([TEXT.decode("latin-1"), Pointer(inner)]))
    store.put("value", pack("nobody names it"))
    assert envelope(store, outer)[0] == ZSTD
    store.set_ref("kept", outer, expected=None, reason="test")
    assert store.references(outer) == [inner]
    assert store.collect_garbage().kept.objects == 2
    assert store.has(inner)
    store._backend.write(lambda txn: txn.delete("objects", inner))
    [problem] = store.check(level=2)
    assert inner.hex() in problem.message
    with pytest.raises(StoreDamaged):
        store.collect_garbage()


def test_what_was_swept_comes_back(store: Store) -> None:
    digest = store.put("value", TEXT)
    store.collect_garbage()
    assert store.get(digest) == ("value", TEXT)
    assert envelope(store, digest)[0] == ZSTD


def test_a_reader_by_the_document_alone_reads_it(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s", compression="zstd") as store:
        digest = store.put("value", TEXT)
        store.set_ref("kept", digest, expected=None, reason="test")
        assert envelope(store, digest)[0] == ZSTD
    *problems, seen = read_and_check(Reader(tmp_path / "s"))
    assert problems == []
    assert seen["kinds"] == {"value": 1}


def test_runs_are_sealed_in_a_store_that_compresses(store: Store) -> None:
    run = store.begin_run(["x" * 900], {"a": "b" * 2000})
    from redun.store import Batch

    digest = run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())
    assert ExecRecord.parse(store.get(digest)[1]).argv == ("x" * 900,)
    assert list(store.check()) == []


# -- what bytes may say -----------------------------------------------------------------------------------------------


def frame_of(payload: bytes, **options: Any) -> bytes:
    """Returns a frame made by other hands."""
    named = {getattr(zstd.CompressionParameter, name): value for name, value in options.items()}
    return bytes(zstd.compress(payload, options={zstd.CompressionParameter.compression_level: 1, **named}))


def streamed(payload: bytes, window_log: int) -> bytes:
    """Returns a frame whose writer did not know how much would come."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    return bytes(compressor.compress(payload) + compressor.flush())


GOOD = frame_of(TEXT)
SIZE = len(TEXT).to_bytes(4, "big")


def test_other_frames_of_the_payload_are_read() -> None:
    assert unpacked(SIZE + GOOD) == TEXT
    assert unpacked(SIZE + frame_of(TEXT, checksum_flag=1)) == TEXT
    assert unpacked(SIZE + streamed(TEXT, window_log=18)) == TEXT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        SIZE,
        SIZE + GOOD[:-1],
        SIZE + GOOD + b"\0",
        SIZE + GOOD + GOOD,
        (len(TEXT) + 1).to_bytes(4, "big") + GOOD,
        (len(TEXT) - 1).to_bytes(4, "big") + GOOD,
        bytes(4) + GOOD,
        bytes(4) + frame_of(b""),
        (2**32 - 1).to_bytes(4, "big") + GOOD,
        (limits.INLINE_BYTES + 1).to_bytes(4, "big") + frame_of(bytes(limits.INLINE_BYTES + 1)),
        SIZE + b"\x50\x2a\x4d\x18\x04\0\0\0skip",
        SIZE + streamed(TEXT, window_log=24),
        SIZE + bytes(range(256)) * 20,
    ],
)
def test_bytes_that_are_not_one_frame_of_that_size_are_damage(data: bytes) -> None:
    with pytest.raises(StoreDamaged):
        unpacked(data)


@given(st.integers(0, len(GOOD) + 3), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_no_flipped_byte_gives_anything_but_the_size_that_was_said(at: int, flip: int) -> None:
    data = bytearray(SIZE + GOOD)
    data[at] ^= flip
    try:
        found = unpacked(bytes(data))
    except StoreDamaged:
        return
    assert len(found) == int.from_bytes(data[:4], "big")


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_bytes_at_all_are_anything_but_damage(data: bytes) -> None:
    with pytest.raises(StoreDamaged):
        unpacked(data)


def test_a_bomb_takes_no_memory() -> None:
    bombs = [frame_of(bytes(1 << 28)), streamed(bytes(1 << 28), window_log=18)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for bomb in bombs:
        assert len(bomb) < 200_000
        for size in (SIZE, limits.INLINE_BYTES.to_bytes(4, "big")):
            with pytest.raises(StoreDamaged):
                unpacked(size + bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes


# -- without the library ----------------------------------------------------------------------------------------------

#: What finds no zstd, as where it is not installed.
WITHOUT = """
import sys
sys.modules["backports"] = sys.modules["compression"] = None
"""


def without(code: str) -> str:
    """Returns what a program prints where there is no zstd."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + code], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_without_the_library_all_else_is_read_and_written(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s", compression="zstd") as store:
        text, short = store.put_many([("value", TEXT), ("value", pack("short"))])
    told = without(
        f"""
from redun.store import Store, StoreError, check, StoreDamaged
def attempt(do):
    try: print(do())
    except StoreDamaged: print("damaged")
    except StoreError as error: print(error.message, "|", error.hint)
with Store.open({str(tmp_path / "s")!r}) as store:
    print(store.get(bytes.fromhex({short.hex()!r})))
    attempt(lambda: store.get(bytes.fromhex({text.hex()!r})))
    attempt(lambda: store.put("value", {TEXT!r}))
    print(store.get(store.put("value", {TEXT[:-1] + b"!"!r})) == ("value", {TEXT[:-1] + b"!"!r}))
    attempt(lambda: list(store.check()))
    print(sum(1 for _ in store.objects()))
attempt(lambda: Store.init({str(tmp_path / "t")!r}, compression="zstd"))
"""
    ).splitlines()
    missing = "zstd is needed for this store and is not installed | pip install 'redun-core[zstd]'"
    if sys.version_info < (3, 14):
        assert told == ["('value', b'\\xa5short')", missing, missing, "True", missing, "3", missing]
    assert list(check(tmp_path / "s")) == []


def test_what_is_no_frame_is_damage_without_the_library_too() -> None:
    told = without(
        f"""
from redun.store import StoreError
from redun.store.compression import unpacked
for data in ({SIZE!r} + b"other", {SIZE!r}, b"", bytes(4) + {GOOD!r}, {SIZE + GOOD!r}):
    try: unpacked(data)
    except StoreError as error: print(type(error).__name__)
"""
    )
    # A repair meets many rows that are none: it must not want the library for them.
    assert told.split()[:4] == ["StoreDamaged"] * 4
    if sys.version_info < (3, 14):
        assert told.split()[4:] == ["LibraryMissing"]


def test_a_store_that_compresses_nothing_never_loads_the_library(tmp_path: Path) -> None:
    told = without(
        f"""
from redun.store import Store
with Store.init({str(tmp_path / "s")!r}) as store:
    store.put("value", {TEXT!r})
    print(len(list(store.check())), store.compression)
"""
    )
    assert told == "0 none\n"


def test_there_is_no_other_compression() -> None:
    with pytest.raises(StoreError, match="no compression 'lzma'"):
        Store.memory(compression="lzma")  # type: ignore[arg-type]
