"""Backups: what is in them, what is made of them, and what happens to those that are not whole."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
import xxhash

from redun.core.codec import references
from redun.core.digest import OBJECT_FORMATS, Digest
from redun.core.errors import (
    RedunError,
    StoreDamaged,
    StoreError,
    StoreFormatError,
    StoreLocked,
    StoreReadOnly,
)
from redun.core.objects import ExecRecord
from redun.store import Store, check, is_store, locks, packs, restore
from redun.store.backup import CLAIMS, NAMES
from redun.store.lmdb_backend import LmdbBackend
from redun.store.ports import TABLES
from tests.store.moves import LARGE, answers, fill, run, unfinished


def _backup(store: Store) -> bytes:
    stream = io.BytesIO()
    store.backup(stream)
    return stream.getvalue()


def _restored(data: bytes, path: Path) -> Store:
    restore(io.BytesIO(data), path)
    return Store.open(path, read_only=True)


@pytest.fixture(scope="module")
def small() -> bytes:
    """A backup of a few objects and names."""
    with Store.memory() as store:
        run(store, 1)
        store.set_ref("a/ref", store.put_value("named"), expected=None, reason="")
        return _backup(store)


# -- what is in them --------------------------------------------------------------------------------------------------


def test_a_restored_store_says_what_the_other_said(store: Store, tmp_path: Path) -> None:
    fill(store)
    with _restored(_backup(store), tmp_path / "r") as other:
        assert answers(other) == answers(store)
        assert list(other.objects()) == list(store.objects())
        assert other.format is store.format
    assert list(check(tmp_path / "r")) == []


def test_it_has_an_id_of_its_own_and_goes_on_beside_the_history_that_it_was_given(tmp_path: Path) -> None:
    with Store.memory() as store:
        first = run(store, 1)
        data = _backup(store)
    restore(io.BytesIO(data), tmp_path / "r")
    with Store.open(tmp_path / "r") as other:
        assert other.id != store.id
        second = run(other, 2)
        assert [digest for digest, _ in other.executions()] == [second, first]
        assert ExecRecord.parse(other.get(second)[1]).parent is None
    assert list(check(tmp_path / "r")) == []


def test_numbers_given_out_afterwards_are_greater_than_those_that_came(store: Store, tmp_path: Path) -> None:
    fill(store)
    data = _backup(store)
    restore(io.BytesIO(data), tmp_path / "r")
    with Store.open(tmp_path / "r") as other:
        doubtful = other.superseded("moved.task")
        run(other, 1)
        other.set_ref("gone", other.put_value(1), expected=None, reason="again")
        assert doubtful > 0
        assert [entry.reason for entry in other.reflog("gone")] == ["again", "removed", "fill"]
    assert list(check(tmp_path / "r")) == []


def test_runs_that_have_not_ended_the_trash_and_the_key_of_secrets_stay_behind(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s") as store:
        fill(store)
        (tmp_path / "s" / "secret.key").write_bytes(bytes(32))
        unfinished(store)
        data = _backup(store)
        assert store.live_runs() != []
    with _restored(data, tmp_path / "r") as other:
        assert other.live_runs() == []
    for name, swept in (("s", True), ("r", False)):
        backend = LmdbBackend(tmp_path / name, writable=False)
        assert bool(backend.read(lambda txn: txn.count("trash"))) is swept
        backend.close()
    assert not (tmp_path / "r" / "secret.key").exists()
    assert list(check(tmp_path / "r")) == []


def test_of_each_table_it_is_known_whether_it_belongs_into_a_backup() -> None:
    elsewhere = {"meta", "objects", "live", "leases", "trash", "stat", "former"}
    derived = {name for name in TABLES if name.startswith("ix.")}
    assert set(TABLES) == {*NAMES, *CLAIMS, *elsewhere, *derived}


def test_a_store_that_may_only_be_read_can_be_backed_up(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s") as store:
        fill(store)
        expected = answers(store)
    with Store.open(tmp_path / "s", read_only=True) as store:
        data = _backup(store)
    with _restored(data, tmp_path / "r") as other:
        assert answers(other) == expected


def test_a_store_that_compresses_what_is_put_does_so_after_it_was_restored(tmp_path: Path) -> None:
    pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")
    with Store.init(tmp_path / "s", compression="zstd") as store:
        store.set_ref("a", store.put_value("text " * 5_000), expected=None, reason="")
        data = _backup(store)
    with _restored(data, tmp_path / "r") as other:
        assert other.compression == "zstd"
        assert other.get_value(other.refs()["a"]) == "text " * 5_000
    assert (tmp_path / "r" / "data.mdb").stat().st_size <= (tmp_path / "s" / "data.mdb").stat().st_size + 65_536


def test_what_is_put_and_named_while_it_is_written_is_in_it_whole_or_not_at_all(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s") as store:
        fill(store)
        ended = threading.Event()

        def write() -> None:
            number = 100
            while not ended.is_set():
                run(store, number)
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            backups = [_backup(store) for _ in range(5)]
        finally:
            ended.set()
            writer.join()
    for number, data in enumerate(backups):
        _restored(data, tmp_path / f"r{number}").close()
        assert list(check(tmp_path / f"r{number}")) == []


def test_garbage_is_not_collected_meanwhile(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s") as store:
        fill(store)

        class Stream(io.BytesIO):
            def write(self, data: object, /) -> int:
                with pytest.raises(StoreLocked):
                    store.collect_garbage()
                return 0

        store.backup(Stream())
        turn = locks.take(tmp_path / "s" / "gc.lock")
        assert turn is not None
        with pytest.raises(StoreLocked, match="gc is at work"):
            _backup(store)
        turn.release()


def test_a_damaged_store_is_not_backed_up(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s") as store:
        fill(store)
        large = store.put_blob([LARGE, b"!"], len(LARGE) + 1)
        (tmp_path / "s" / "blobs" / large.hex()[:2] / large.hex()).unlink()
        with pytest.raises(StoreDamaged):
            store.backup(tmp_path / "b")
    assert list(tmp_path.iterdir()) == [tmp_path / "s"]


# -- its bytes --------------------------------------------------------------------------------------------------------


def test_the_bytes_are_those_of_the_document() -> None:
    stream = io.BytesIO()
    writer = packs.Writer(stream, packs.Header(OBJECT_FORMATS["xxh3-128"], "backup", bytes(range(16)), 1))
    writer.row(packs.Row("refs", b"a", b"row"))
    writer.object(Digest(b"i" * 16), "blob", b"abc")
    writer.end()
    header = b"\x95\xa8xxh3-128\xa6backup\xc4\x10" + bytes(range(16)) + b"\x01\x90"
    expected = b"\x89redun pack\r\n\x1a\n\x01" + len(header).to_bytes(4, "big") + header
    expected += b"r\x04refs\x00\x01a\x00\x00\x00\x03row"
    expected += b"o" + b"i" * 16 + b"\x04blob\x00" + bytes(7) + b"\x03abc"
    expected += b"e" + bytes(7) + b"\x01" + bytes(7) + b"\x01"
    assert stream.getvalue() == expected + hashlib.sha256(expected).digest()


def test_a_reader_that_knows_only_the_document_finds_what_was_put(store: Store) -> None:
    fill(store)
    data = _backup(store)
    source = io.BytesIO(data)

    def number(size: int) -> int:
        return int.from_bytes(source.read(size), "big")

    assert source.read(16) == b"\x89redun pack\r\n\x1a\n\x01"
    name, purpose, store_id, _, needs = msgpack.unpackb(source.read(number(4)))
    assert (name, purpose, store_id, needs) == (store.format.name, "backup", store.id, [])
    size = {"xxh3-128": 16, "sha256": 32}[name]
    seen: set[bytes] = set()
    tables: list[str] = []
    while (tag := source.read(1)) != b"e":
        if tag == b"r":
            tables.append(source.read(number(1)).decode())
            source.read(number(2))
            source.read(number(4))
            continue
        assert tag == b"o"
        digest, kind = source.read(size), source.read(number(1)).decode()
        assert number(1) == 0
        payload = source.read(number(8))
        frame = b"%s %d\0%s" % (kind.encode(), len(payload), payload)
        made = xxhash.xxh3_128(frame).digest() if size == 16 else hashlib.sha256(frame).digest()
        assert made == digest
        assert kind in ("blob", "exec") or seen.issuperset(references(payload))
        assert digest not in seen
        seen.add(digest)
    assert (number(8), number(8)) == (len(seen), len(tables))
    assert source.read() == hashlib.sha256(data[:-32]).digest()
    assert seen == {digest for digest, _ in store.objects()}
    assert {"refs", "reflog", "shallow", "memo", "tally", "superseded"} <= set(tables)


# -- the file ---------------------------------------------------------------------------------------------------------


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with Store.memory() as store, pytest.raises(StoreError, match="is there already"):
        store.backup(tmp_path / "b")
    assert (tmp_path / "b").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "b"]


def test_a_directory_that_admits_no_file_is_named(tmp_path: Path) -> None:
    with Store.memory() as store, pytest.raises(StoreError, match="cannot use"):
        store.backup(tmp_path / "nowhere" / "b")


def test_a_file_that_grows_too_large_is_removed(tmp_path: Path) -> None:
    program = """
import resource, signal, sys
from redun.store import Store, StoreFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.memory()
store.put_blob([bytes(range(256)) * 40_000], 256 * 40_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    store.backup(sys.argv[1])
except StoreFull as error:
    print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "b"], capture_output=True, text=True, check=True)
    assert done.stdout == f"the disk of {tmp_path / 'b'} is full\n"
    assert list(tmp_path.iterdir()) == []


def test_restoring_where_there_is_no_room_leaves_nothing(tmp_path: Path) -> None:
    program = """
import resource, signal, sys
from redun.store import StoreFailing, StoreFull, restore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    restore(sys.argv[1], sys.argv[2])
except (StoreFull, StoreFailing):  # a limit that is met in the middle of a page is taken for a failing disk
    print("full")
"""
    with Store.memory() as store:
        fill(store)
        store.put_many([("blob", bytes([number]) * 500_000) for number in range(20)])
        store.backup(tmp_path / "b")
    for most in (100_000, 1_000_000, 3_000_000):
        words = [sys.executable, "-c", program, tmp_path / "b", tmp_path / "r", str(most)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("full\n", "")
        assert list(tmp_path.iterdir()) == [tmp_path / "b"]


def test_others_may_not_read_it(tmp_path: Path) -> None:
    with Store.memory() as store:
        store.backup(tmp_path / "b")
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "b"]


# -- where it goes ----------------------------------------------------------------------------------------------------


def test_a_store_that_holds_nothing_gives_its_place(small: bytes, tmp_path: Path) -> None:
    Store.init(tmp_path / "r", object_format="sha256").close()
    with _restored(small, tmp_path / "r") as other:
        assert other.format.name == "xxh3-128"
    assert list(tmp_path.iterdir()) == [tmp_path / "r"]


def test_a_store_that_holds_something_stays(small: bytes, tmp_path: Path) -> None:
    with Store.init(tmp_path / "r") as store:
        kept = store.put_value(1)
    with pytest.raises(StoreError, match="there is a store already"):
        restore(io.BytesIO(small), tmp_path / "r")
    with Store.open(tmp_path / "r") as store:
        assert store.get_value(kept) == 1
        assert list(tmp_path.iterdir()) == [tmp_path / "r"]
        with pytest.raises(StoreError, match="there is a store already"):  # and one that somebody has open
            restore(io.BytesIO(small), tmp_path / "r")


def test_something_that_is_no_store_stays(small: bytes, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "mine").touch()
    with pytest.raises(StoreError, match="is there already"):
        restore(io.BytesIO(small), tmp_path / "r")
    assert list(tmp_path.iterdir()) == [tmp_path / "r"]


def test_an_empty_directory_gives_its_place(small: bytes, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    _restored(small, tmp_path / "r").close()
    assert list(check(tmp_path / "r")) == []


def test_two_at_once_do_not_mix(small: bytes, tmp_path: Path) -> None:
    (tmp_path / "r.restoring").mkdir()
    other = locks.take(tmp_path / "r.restoring" / "session.lock")
    assert other is not None
    with pytest.raises(StoreLocked, match="another process"):
        restore(io.BytesIO(small), tmp_path / "r")
    other.release()
    (tmp_path / "r.restoring" / "data.mdb").write_text("what a process that died has left")
    _restored(small, tmp_path / "r").close()
    assert list(tmp_path.iterdir()) == [tmp_path / "r"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_admits_no_writing_is_named(small: bytes, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(0o500)
    with pytest.raises(StoreReadOnly):
        restore(io.BytesIO(small), tmp_path / "closed" / "r")


# -- those that are not whole -----------------------------------------------------------------------------------------


def _fails(data: bytes, path: Path) -> RedunError:
    with pytest.raises((StoreDamaged, StoreFormatError)) as caught:
        restore(io.BytesIO(data), path)
    assert not path.exists()
    assert not is_store(path.with_name(f"{path.name}.restoring"))
    return caught.value


def test_one_that_was_cut_off_anywhere_is_refused(small: bytes, tmp_path: Path) -> None:
    chance = random.Random(5)
    for size in sorted({0, 1, 14, 15, 16, 20, len(small) - 1, len(small) - 32, *chance.sample(range(len(small)), 40)}):
        assert "b" in str(_fails(small[:size], tmp_path / "r"))
    assert list(tmp_path.iterdir()) == []


def test_one_with_any_bit_changed_is_refused(small: bytes, tmp_path: Path) -> None:
    chance = random.Random(6)
    for place in [*range(24), *chance.sample(range(24, len(small)), 60)]:
        changed = bytearray(small)
        changed[place] ^= 1 << chance.randrange(8)
        _fails(bytes(changed), tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_errors_say_what_it_is_instead(small: bytes, tmp_path: Path) -> None:
    cases = {
        b"": "the backup is empty",
        b"PK\x03\x04": "the backup is no backup",
        small[:9]: "the backup is cut off",
        small.replace(b"\r\n", b"\n"): "a transfer as text",
        small[:15] + b"\x02" + small[16:]: "version 2",
        small + b"x": "goes on after its end",
        small[:-1]: "in the middle",
    }
    for data, words in cases.items():
        assert words in _fails(data, tmp_path / "r").message


# -- those that lie ---------------------------------------------------------------------------------------------------


def _pack(write: Callable[[packs.Writer], object], *, purpose: str = "backup") -> bytes:
    with Store.memory() as store:
        header = packs.Header(store.format, purpose, store.id, 0)
    stream = io.BytesIO()
    writer = packs.Writer(stream, header)
    write(writer)
    writer.end()
    return stream.getvalue()


def _put(kind: str, payload: bytes) -> Digest:
    with Store.memory() as store:
        return store.put(kind, payload)


def test_what_it_says_is_not_believed(tmp_path: Path) -> None:
    from redun.core.codec import Pointer, pack

    value, nowhere = pack(1), Digest(bytes(16))
    points = pack(Pointer(nowhere))
    cases: dict[str, Callable[[packs.Writer], object]] = {
        "do not fit its id": lambda w: w.object(nowhere, "value", value),
        "is pointed to and is not in it": lambda w: w.object(_put("value", points), "value", points),
        "not canonical": lambda w: w.object(_put("value", b"\xcd\x00\x01"), "value", b"\xcd\x00\x01"),
        "fields": lambda w: w.object(_put("call", pack([1])), "call", pack([1])),
        "no kind of object": lambda w: w.object(nowhere, "nothing", value),
        "does not know": lambda w: w.row(packs.Row("live", b"k", b"v")),
        "ref x is damaged": lambda w: w.row(packs.Row("refs", b"x", b"v")),
        "not a name": lambda w: w.row(packs.Row("refs", b"../x", b"v")),
        "a row of memo": lambda w: w.row(packs.Row("memo", b"x", b"v")),
        "a row of shallow": lambda w: w.row(packs.Row("shallow", b"x" * 16, b"\x09")),
        "a row of meta": lambda w: w.row(packs.Row("meta", b"id", b"x" * 16)),
    }
    for words, write in cases.items():
        assert words in str(_fails(_pack(write), tmp_path / "r")), words


def test_a_ref_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    from redun.store.checksums import with_checksum

    row = packs.Row("refs", b"x", with_checksum(b"x", bytes(16)))
    assert "leads to nothing" in str(_fails(_pack(lambda w: w.row(row)), tmp_path / "r"))


def test_a_pack_for_another_purpose_is_refused(tmp_path: Path) -> None:
    assert "is no backup" in str(_fails(_pack(lambda w: None, purpose="bundle"), tmp_path / "r"))


def test_a_size_that_is_a_lie_takes_no_memory(tmp_path: Path) -> None:
    program = """
import io, resource, sys
from pathlib import Path
from redun.store import StoreDamaged, packs, restore, Store
stream = io.BytesIO()
packs.Writer(stream, packs.Header(Store.memory().format, "backup", bytes(16), 0))
data = stream.getvalue() + b"o" + bytes(16) + b"\\x04blob\\x00" + (2**62).to_bytes(8, "big") + bytes(3_000_000)
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
try:
    restore(io.BytesIO(data), sys.argv[1])
except StoreDamaged as error:
    print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "r"], capture_output=True, text=True, check=False)
    assert "in the middle" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []
