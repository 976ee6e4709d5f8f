"""What is wrong with a store is found, wherever it is: each kind of damage, by its name, at its level."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.core.codec import ExtType, Pointer, pack, pointer_bytes
from redun.core.digest import Digest, Key
from redun.core.errors import NotAStore, StoreDamaged, StoreFormatError
from redun.core.frame import KINDS
from redun.core.objects import CallRecord, HeadRecord, JobRow, Outcome, Status, TaskSetRecord, TreeRecord
from redun.store import Batch, MemoUpdate, Problem, RunUpdate, Store, check
from redun.store.checksums import with_checksum
from redun.store.memo import MemoCall, MemoRow, encode_row
from redun.store.ports import WriteTransaction

Row = Callable[..., JobRow]

LARGE = bytes(range(256)) * 8000


class Filled:
    """A store with a sealed and a live run, a blob in a file, and a cache entry."""

    def __init__(self, store: Store, row: Row) -> None:
        self.store = store
        self.value = store.put("value", pack([1, "two", 3.0]))
        self.inner = store.put("value", pack(["inner"]))
        nested = pack([ExtType(1, pack([ExtType(2, pack([Pointer(self.inner)]))]))])
        self.outer = store.put("value", nested)
        self.blob = store.put_blob([LARGE], len(LARGE))
        self.expr = store.put("expr", pack([1, [], [], Pointer(self.outer)]))
        self.call = store.put(
            "call", CallRecord(self.value, (self.outer,), self.expr, Outcome.VALUE, self.value).payload()
        )
        tasks = store.put("footprint", TaskSetRecord(()).payload())
        self.head = store.put("footprint", HeadRecord(tasks).payload())
        self.key = Key(b"k" * store.format.size)
        self.run = store.begin_run(["sealed"], {})
        memo = MemoUpdate(self.key, "t", self.expr, True, self.call, self.head)
        self.execution = self.run.seal(
            Batch(memo=[memo]),
            root=self.call,
            status=Status.DONE,
            rows=1,
            counts=(),
            sources=(),
            tail=[row(0, call=self.call, head=self.head)],
        )
        self.live = store.begin_run(["live"], {})
        self.page = store.put("jobs", row_page(self.live.uuid, row(0, call=self.call)))
        update = RunUpdate(self.live.uuid, [self.page], (row(1, call=self.call),), (row(2),), root=self.call, rows=3)
        store.commit(Batch(run=update))

    def write(self, function: Callable[[WriteTransaction], object]) -> None:
        self.store._backend.write(function)

    def put_row(self, table: str, key: bytes, value: bytes) -> None:
        self.write(lambda txn: txn.put(table, key, value))

    def put_sealed(self, table: str, key: bytes, body: bytes) -> None:
        self.put_row(table, key, with_checksum(key, body))

    def problems(self, level: int = 4) -> list[tuple[str, str]]:
        return [(problem.what, problem.where) for problem in self.store.check(level=level)]


def row_page(uuid: bytes, *rows: JobRow) -> bytes:
    from redun.core.objects import JobsRecord

    return JobsRecord(uuid, rows).payload()


@pytest.fixture
def filled(store: Store, row: Row) -> Filled:
    return Filled(store, row)


def test_a_sound_store_has_no_problems(filled: Filled) -> None:
    assert list(filled.store.check()) == []
    if filled.store.path is not None:
        assert list(check(filled.store.path)) == []


def test_an_empty_store_is_sound(store: Store) -> None:
    assert list(store.check()) == []


# -- bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil",
    [
        lambda env: env[:-1] + bytes([env[-1] ^ 1]),
        lambda env: env[:-1],
        lambda env: env + b"x",
        lambda env: env[:2],
        lambda env: b"",
        lambda env: b"\0",
        lambda env: b"\1" + env[1:],
        lambda env: b"\xff" + env[1:],
        lambda env: env[:1] + b"\x05" + env[2:],
        lambda env: env[:1] + bytes([len(KINDS)]) + env[2:],
        lambda env: env[:1] + b"\xff" + env[2:],
        lambda env: b"\2" + env[1:],
    ],
)
def test_other_bytes_than_the_id_was_made_of_are_found(filled: Filled, spoil: Callable[[bytes], bytes]) -> None:
    env = filled.store._backend.read(lambda txn: txn.get("objects", filled.value))
    assert env is not None
    filled.put_row("objects", filled.value, spoil(env))
    assert filled.problems(level=1) == [("object", filled.value.hex())]
    assert filled.problems(level=0) == []


def test_a_key_that_is_no_id_is_found(filled: Filled) -> None:
    filled.put_row("objects", b"short", b"\0\0\xc0")
    assert filled.problems(level=1) == [("object", b"short".hex())]


def _file(filled: Filled, digest: Digest) -> Path:
    assert filled.store.path is not None
    return filled.store.path / "blobs" / digest.hex()[:2] / digest.hex()


def _rewrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


_SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), "missing"),
    "short": (lambda path: _rewrite(path, LARGE[:-1]), "less"),
    "empty": (lambda path: _rewrite(path, b""), "less"),
    "long": (lambda path: _rewrite(path, LARGE + b"x"), "more"),
    "flipped": (lambda path: _rewrite(path, b"\xff" + LARGE[1:]), "other bytes"),
    "a directory": (lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
}


@pytest.mark.parametrize("how", _SPOILED)
def test_a_file_with_other_bytes_is_found(tmp_path: Path, row: Row, how: str) -> None:
    spoil, says = _SPOILED[how]
    with Store.init(tmp_path / "s") as store:
        filled = Filled(store, row)
        spoil(_file(filled, filled.blob))
        [problem] = store.check(level=1)
        assert (problem.what, problem.where) == ("blob", filled.blob.hex())
        assert says in problem.message
        assert filled.problems(level=0) == []


def test_files_that_changed_places_are_found(tmp_path: Path, row: Row) -> None:
    with Store.init(tmp_path / "s") as store:
        filled = Filled(store, row)
        other = store.put_blob([LARGE[::-1]], len(LARGE))
        one, two = _file(filled, filled.blob), _file(filled, other)
        one.rename(tmp_path / "x")
        two.rename(one)
        (tmp_path / "x").rename(two)
        assert filled.problems() == [("blob", digest.hex()) for digest in sorted([filled.blob, other])]


def test_a_large_record_in_a_file_is_followed_and_decoded(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        value, gone = store.put("value", pack(1)), Digest(b"gone" * 4)
        children = (*[value] * 60_000, gone)
        large = store.put("call", CallRecord(value, (), None, Outcome.VALUE, value, children).payload())
        listed = store.put("call", pack([1, *[Pointer(value)] * 60_000]))
        found = sorted((problem.what, problem.where) for problem in store.check())
        assert found == [("malformed", listed.hex()), ("pointer", gone.hex())]
        assert large.hex() in next(problem.message for problem in store.check() if problem.what == "pointer")


# -- pointers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["value", "inner", "expr", "head"])
def test_what_is_pointed_to_and_missing_is_found_once(filled: Filled, name: str) -> None:
    digest = getattr(filled, name)
    filled.store.put_many([("value", pack([Pointer(digest), number])) for number in range(3)])
    filled.write(lambda txn: txn.delete("objects", digest))
    found = filled.problems(level=2)
    assert [problem for problem in found if problem[0] == "pointer"] == [("pointer", digest.hex())]
    assert filled.problems(level=1) == []


def test_an_id_of_another_size_leads_nowhere(filled: Filled) -> None:
    size = 48 - filled.store.format.size
    filled.store.put("value", pack([Pointer(b"i" * size)]))
    assert filled.problems(level=2) == [("pointer", (b"i" * size).hex())]


def test_bytes_that_look_like_a_pointer_are_none(filled: Filled) -> None:
    size = filled.store.format.size
    seeming = pointer_bytes(b"s" * size)
    filled.store.put_many([("value", pack([seeming])), ("value", pack([seeming[: size // 2], 0])), ("blob", seeming)])
    assert filled.problems() == []


def test_a_pointer_behind_bytes_that_look_like_one_is_followed(filled: Filled) -> None:
    gone = b"g" * filled.store.format.size
    head = pointer_bytes(gone)[: -len(gone)]
    filled.store.put("value", pack([head, Pointer(gone)]))
    filled.store.put("value", pack([head + b"xx", ExtType(1, pack([Pointer(gone)]))]))
    assert filled.problems(level=2) == [("pointer", gone.hex())]


def test_more_pointers_than_one_batch_are_all_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redun.store.pointers._BATCH", 50)
    monkeypatch.setattr("redun.store.check_objects._LOOKED_UP", 7)
    with Store.memory() as store:
        values = store.put_many([("value", pack(number)) for number in range(300)])
        trees = [TreeRecord(0, 10, tuple(values[at : at + 10])).payload() for at in range(0, 300, 10)]
        store.put_many([("tree", payload) for payload in trees])
        gone = sorted(values[::37])
        store._backend.write(lambda txn: [txn.delete("objects", digest) for digest in gone])
        assert sorted(problem.where for problem in store.check()) == [digest.hex() for digest in gone]


# -- form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("value", b""),
        ("value", pack(1) + pack(2)),
        ("value", b"\xcd\x00\x01"),  # 1, in three bytes
        ("value", b"\xc1"),
        ("call", pack([1])),
        ("call", pack([2, 0, 0, 0, 0, 0, 0, 0])),
        ("task", pack("a task")),
        ("exec", pack([1, b"short"])),
        ("expr", pack([1, 2, 3, 4])),
        ("footprint", pack([1, "other"])),
    ],
)
def test_what_cannot_be_decoded_is_found(filled: Filled, kind: str, payload: bytes) -> None:
    digest = filled.store.put(kind, payload)
    assert filled.problems(level=4) == [("malformed", digest.hex())]
    assert filled.problems(level=2) == []


# -- names ------------------------------------------------------------------------------------------------------------


def _chain(store: Store) -> str:
    return f"executions/{store.id.hex()}"


def test_a_ref_to_nothing_is_found(filled: Filled) -> None:
    filled.write(lambda txn: txn.delete("objects", filled.execution))
    assert filled.problems(level=2) == [("ref", _chain(filled.store))]
    assert filled.problems(level=1) == []


def test_a_chain_that_leads_to_no_execution_is_found(filled: Filled) -> None:
    filled.put_sealed("refs", _chain(filled.store).encode(), filled.value)
    assert filled.problems() == [("ref", _chain(filled.store)), ("reflog", _chain(filled.store))]


@pytest.mark.parametrize("name", [b"a//b", b"\xff", b"with space", b"../up"])
def test_a_name_that_no_ref_has_is_found(filled: Filled, name: bytes) -> None:
    filled.put_sealed("refs", name, filled.value)
    assert [what for what, _ in filled.problems()] == ["ref"]


def test_a_ref_that_is_not_where_its_log_says_is_found(filled: Filled) -> None:
    store = filled.store
    store.set_ref("mine", filled.value, expected=None, reason="one")
    store.set_ref("mine", filled.outer, expected=filled.value, reason="two")
    store.set_ref("mine.1", filled.outer, expected=None, reason="a name that begins as the other")
    assert filled.problems() == []
    filled.put_sealed("refs", b"mine", filled.value)
    assert filled.problems() == [("reflog", "mine")]


def test_a_ref_that_is_damaged_or_lost_is_found_and_its_log_is_believed(filled: Filled) -> None:
    store = filled.store
    store.set_ref("mine", filled.value, expected=None, reason="one")
    row = store._backend.read(lambda txn: txn.get("refs", b"mine"))
    assert row is not None
    for spoil in (
        lambda txn: txn.put("refs", b"mine", b"\1" + row[1:]),
        lambda txn: txn.put("refs", b"mine", filled.value),
        lambda txn: txn.delete("refs", b"mine"),
    ):
        filled.write(spoil)
        assert filled.problems(level=2) == [("ref", "mine")]
        assert store.ref("mine") == filled.value
    store.set_ref("mine", filled.outer, expected=filled.value, reason="moves on")
    assert store.ref("mine") == filled.outer
    store.set_ref("mine", None, expected=filled.outer, reason="gone on purpose")
    assert filled.problems() == []
    assert store.ref("mine") is None


def test_a_ref_with_a_damaged_log_counts_and_one_without_either_is_an_error(filled: Filled) -> None:
    store = filled.store
    store.set_ref("mine", filled.value, expected=None, reason="one")
    [at] = [key for key in store._backend.read(lambda txn: txn.scan_keys("reflog", b"mine", 9)) if b"mine" in key]
    filled.put_row("reflog", at, b"\1")
    assert filled.problems() == [("reflog", "mine")]
    assert store.ref("mine") == filled.value
    filled.put_row("refs", b"mine", b"x" * 20)
    assert sorted(filled.problems()) == [("ref", "mine"), ("reflog", "mine")]
    with pytest.raises(StoreDamaged):
        store.ref("mine")
    with pytest.raises(StoreDamaged):
        store.refs()


@pytest.mark.parametrize("entry", [b"", b"\xc1", b"\x01", b"\x90", b"\xa5hello"])
def test_a_log_that_cannot_be_read_is_found(filled: Filled, entry: bytes) -> None:
    filled.store.set_ref("mine", filled.value, expected=None, reason="one")
    filled.put_row("reflog", b"mine\0" + b"\xff" * 8, entry)
    assert filled.problems() == [("reflog", "mine")]


# -- live runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", [b"h", b"s", b"t", b"r"])
def test_an_entry_of_a_live_run_that_cannot_be_read_is_found(filled: Filled, letter: bytes) -> None:
    filled.put_row("live", filled.live.uuid + letter, b"\xc1")
    assert filled.problems(level=2) == [("run", filled.live.uuid.hex())]
    assert filled.problems(level=1) == []


@pytest.mark.parametrize("letter", [b"h", b"p", b"s", b"t", b"r"])
def test_an_entry_of_a_live_run_that_is_missing_is_found(filled: Filled, letter: bytes) -> None:
    filled.write(lambda txn: txn.delete("live", filled.live.uuid + letter))
    assert filled.problems() == [("run", filled.live.uuid.hex())]


def test_an_entry_that_belongs_to_no_run_is_found(filled: Filled) -> None:
    filled.put_row("live", b"u" * 16 + b"x", b"")
    assert filled.problems() == [("run", (b"u" * 16).hex())]


def test_what_a_live_run_names_must_be_there(filled: Filled, row: Row) -> None:
    gone, value = Digest(b"g" * filled.store.format.size), filled.value
    rows = (row(0, call=gone), row(1, call=value), row(2, head=gone), row(3, trace=gone), row(4, compared=gone))
    update = RunUpdate(filled.live.uuid, [filled.value], rows, (row(5, call=gone),), value, 6, (), ((gone, value),))
    filled.store.commit(Batch(run=update))
    messages = [problem.message for problem in filled.store.check() if problem.what == "run"]
    names = [
        message.partition(": its ")[2].split(f" {gone.hex()}")[0].split(f" {value.hex()}")[0] for message in messages
    ]
    assert names == [
        "page",
        "root",
        "task",
        "source",
        "call of job 0",
        "call of job 1",
        "footprint of job 2",
        "traceback of job 3",
        "call of job 5",
    ]


# -- the cache --------------------------------------------------------------------------------------------------------


def test_a_cache_entry_that_does_not_fit_its_checksum_is_found(filled: Filled) -> None:
    filled.put_row("memo", filled.key, b"\x01" + b"x" * 100)
    assert filled.problems(level=2) == [("memo", filled.key.hex())]
    assert filled.problems(level=1) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"reduction": "value"}, "its reduction * is a value"),
        ({"reduction": "gone"}, "its reduction * is missing"),
        ({"reduction": "value", "is_expr": False}, None),
        ({"is_expr": False}, "its reduction * is a expr"),
        ({"call": "gone"}, "its call * is missing"),
        ({"call": "head"}, "its call * is a footprint"),
        ({"head": "gone"}, "its footprint * is missing"),
        ({"head": "call"}, "its footprint * is a call"),
    ],
)
def test_what_a_cache_entry_names_must_be_there(filled: Filled, change: dict[str, str], says: str | None) -> None:
    gone = Digest(b"g" * filled.store.format.size)
    named = {**vars(filled), "gone": gone}

    def pick(role: str, otherwise: Digest) -> Digest:
        return named[change[role]] if role in change else otherwise

    call = MemoCall(pick("call", filled.call), pick("head", filled.head), 1)
    memo = MemoRow(pick("reduction", filled.expr), bool(change.get("is_expr", True)), (call,))
    filled.put_row("memo", filled.key, encode_row(filled.key, memo))
    messages = [problem.message for problem in filled.store.check(level=2)]
    if says is None:
        assert messages == []
    else:
        before, after = says.split("*")
        assert len(messages) == 1
        assert before in messages[0]
        assert messages[0].endswith(after)


@pytest.mark.parametrize("table", ["superseded", "stat", "tally"])
def test_a_derived_row_that_does_not_fit_its_checksum_is_found(filled: Filled, table: str) -> None:
    filled.put_row(table, b"some key", b"some row")
    assert filled.problems(level=2) == [("derived", b"some key".hex())]
    assert filled.problems(level=1) == []


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def closed(tmp_path: Path, row: Row) -> Path:
    with Store.init(tmp_path / "s") as store:
        Filled(store, row).live.seal(Batch(), root=None, status=Status.DONE, rows=3, counts=(), sources=())
    return tmp_path / "s"


def _whats(found: list[Problem]) -> list[tuple[int, str, str]]:
    return sorted({(problem.level, problem.what, problem.where) for problem in found})


def test_a_data_file_with_a_broken_page_is_found_without_being_mapped(closed: Path) -> None:
    data = bytearray((closed / "data.mdb").read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 16] = b"\xff" * 16
    (closed / "data.mdb").write_bytes(data)
    for level in (0, 4):
        assert _whats(list(check(closed, level=level))) == [(0, "file", "data.mdb")]


def test_rows_that_a_damaged_page_above_them_hides_are_found(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        digests = store.put_many([("value", pack([number, "x" * 50])) for number in range(2000)])
    data = bytearray((tmp_path / "data.mdb").read_bytes())
    for page in range(2 * 4096, len(data), 4096):
        flags, lower = struct.unpack_from("=HH", data, page + 10)
        if flags == 1:  # a page of separators: the last one moves a little, and the order of all is kept
            [node] = struct.unpack_from("=H", data, page + lower - 2)
            data[page + node + 8] ^= 1
    (tmp_path / "data.mdb").write_bytes(data)
    [problem] = check(tmp_path, level=1)
    assert (problem.what, problem.where) == ("file", "data.mdb")
    assert "not found by their keys" in problem.message
    with Store.open(tmp_path, read_only=True) as store:
        assert not all(map(store.has, digests))


@pytest.mark.parametrize("size", [0, 100, 4096, 3 * 4096 + 1])
def test_a_data_file_cut_short_is_found(closed: Path, size: int) -> None:
    (closed / "data.mdb").write_bytes((closed / "data.mdb").read_bytes()[:size])
    assert _whats(list(check(closed))) == [(0, "file", "data.mdb")]


def test_a_data_file_that_is_gone_or_belongs_to_another_store_is_found(closed: Path, tmp_path: Path) -> None:
    Store.init(tmp_path / "other").close()
    shutil.copy(tmp_path / "other" / "data.mdb", closed / "data.mdb")
    [problem] = check(closed)
    assert "belongs to another store" in problem.message
    (closed / "data.mdb").unlink()
    assert _whats(list(check(closed))) == [(0, "file", "data.mdb")]


def test_a_format_file_with_a_wrong_field_is_found(closed: Path) -> None:
    text = (closed / "FORMAT").read_text()
    (closed / "FORMAT").write_text(text.replace("\nid ", "\nid xyz"))
    assert _whats(list(check(closed))) == [(0, "file", "FORMAT")]


def test_what_is_no_store_or_of_a_newer_format_cannot_be_checked(closed: Path, tmp_path: Path) -> None:
    with pytest.raises(NotAStore):
        list(check(tmp_path))
    text = (closed / "FORMAT").read_text()
    (closed / "FORMAT").write_text(text.replace("layout 1", "layout 2"))
    with pytest.raises(StoreFormatError):
        list(check(closed))


def test_a_check_changes_no_file(closed: Path) -> None:
    (closed / "synced").unlink()

    def files() -> dict[str, tuple[int, bytes]]:
        found = [path for path in closed.rglob("*") if path.is_file() and path.name != "lock.mdb"]
        return {str(path): (os.stat(path).st_mtime_ns, path.read_bytes()) for path in found}

    before = files()
    assert list(check(closed)) == []
    assert files() == before


def test_a_run_that_died_is_no_damage(tmp_path: Path, row: Row) -> None:
    with Store.init(tmp_path / "s") as store:
        Filled(store, row)
    with Store.open(tmp_path / "s", read_only=True) as store:
        assert [info.alive for info in store.live_runs()] == [False]
    assert list(check(tmp_path / "s")) == []


def test_progress_is_told_of_what_is_looked_at(closed: Path) -> None:
    told: list[tuple[str, int, int]] = []
    assert list(check(closed, progress=lambda *facts: told.append(facts))) == []
    assert {what for what, _, _ in told} == {"data file", "objects", "cache"}
    assert all(0 <= done <= total for _, done, total in told)
    assert [(done, total) for what, done, total in told if what == "cache"] == [(0, 1), (1, 1)]


_WRITER = """
import sys
from redun.core.codec import Pointer, pack
from redun.store import Store
with Store.open(sys.argv[1]) as store:
    last = store.put("value", pack("start"))
    print("writing", flush=True)
    for number in range(10**9):
        last = store.put("value", pack([number, "x" * 3000, Pointer(last)]))
"""


def test_a_store_that_is_written_to_is_checked_without_false_alarm(tmp_path: Path) -> None:
    Store.init(tmp_path).close()
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    try:
        with Store.open(tmp_path, read_only=True) as store:
            for _ in range(10):
                assert list(store.check()) == []
    finally:
        writer.kill()
        writer.communicate()
    assert list(check(tmp_path)) == []
