"""A data file that cannot be opened any more: what can be read of it is saved, and the store is sound afterwards."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.core.codec import pack
from redun.core.digest import OBJECT_FORMATS
from redun.core.errors import StoreLocked
from redun.core.objects import JobRow, Status
from redun.store import Batch, Store, check, meta, meta_pages, repair, soundness
from redun.store.lost import losses
from redun.store.mending.records import Repaired
from tests.store.test_check import Filled

Row = Callable[..., JobRow]
_PAGE = 4096


@pytest.fixture(params=list(OBJECT_FORMATS))
def closed(request: pytest.FixtureRequest, tmp_path: Path, row: Row) -> Path:
    """A store with a few thousand objects, a history and a cache."""
    with Store.init(tmp_path / "s", object_format=request.param) as store:
        Filled(store, row).live.seal(Batch(), root=None, status=Status.DONE, rows=3, counts=(), sources=())
        store.put_many([("value", pack([number, "x" * (number % 300)])) for number in range(3000)])
        store.put_many([("value", pack([number, "y" * 100_000])) for number in range(5)])
        store.set_ref("mine", store.put("value", pack("mine")), expected=None, reason="so")
    return tmp_path / "s"


def _contents(path: Path) -> dict[str, dict[bytes, bytes]]:
    with Store.open(path, read_only=True) as store:
        tables = ("objects", "refs", "reflog", "memo", "live", "superseded", "shallow", "trash")
        return {name: dict(store._backend.read(lambda txn, of=name: txn.scan(of, b"", 10**6))) for name in tables}  # type: ignore[misc]


def _pages(path: Path, flags: int) -> list[int]:
    """The pages of a data file that have these flags."""
    data = (path / "data.mdb").read_bytes()
    found = range(2, len(data) // _PAGE)
    return [page for page in found if struct.unpack_from("=QHH", data, page * _PAGE)[::2] == (page, flags)]


def _overwrite(path: Path, pages: list[int], with_bytes: bytes = b"\xff" * _PAGE) -> None:
    with open(path / "data.mdb", "r+b") as file:
        for page in pages:
            file.seek(page * _PAGE)
            file.write(with_bytes)


def test_a_sound_store_is_left_as_it_is(closed: Path) -> None:
    before = _contents(closed)
    assert repair(closed) == Repaired()
    assert _contents(closed) == before
    assert not (closed / "damaged").exists()


def test_leaves_below_damaged_pages_are_found(closed: Path) -> None:
    before = _contents(closed)
    _overwrite(closed, _pages(closed, 1))
    assert list(check(closed)) != []
    repaired = repair(closed)
    assert repaired.remaining == ()
    assert list(check(closed)) == []
    after = _contents(closed)
    for name in ("objects", "refs", "memo"):
        assert after[name].items() >= before[name].items(), name
    assert (Path(repaired.kept) / "data.mdb").exists()
    assert repair(closed) == Repaired()


def test_what_lay_on_a_damaged_leaf_is_lost_and_all_else_is_there(closed: Path) -> None:
    before = _contents(closed)
    leaves = _pages(closed, 2)
    _overwrite(closed, leaves[len(leaves) // 2 : len(leaves) // 2 + 3])
    repaired = repair(closed)
    assert repaired.remaining == ()
    assert list(check(closed)) == []
    after = _contents(closed)
    assert len(before["objects"]) > len(after["objects"]) > len(before["objects"]) - 300
    assert repaired.done[0].where == "data.mdb"


@pytest.mark.parametrize("what", range(16))
def test_any_page_may_be_damaged(closed: Path, what: int) -> None:
    pages = range(2, (closed / "data.mdb").stat().st_size // _PAGE)
    _overwrite(closed, list(pages[what::40]), bytes(range(256)) * 16)
    repaired = repair(closed)
    assert repaired.remaining == ()
    assert list(check(closed)) == []
    with Store.open(closed) as store:
        list(store.executions())
        store.put("value", pack("goes on"))


@pytest.mark.parametrize("meta", [[0], [1]])
def test_one_list_of_tables_is_enough(closed: Path, meta: list[int]) -> None:
    before = _contents(closed)
    _overwrite(closed, meta, bytes(_PAGE))
    assert repair(closed).remaining == ()
    assert list(check(closed)) == []
    assert _contents(closed)["objects"].keys() >= before["objects"].keys()


def test_without_a_list_of_tables_objects_and_history_are_saved(closed: Path) -> None:
    before = _contents(closed)
    _overwrite(closed, [0, 1], bytes(_PAGE))
    assert repair(closed).remaining == ()
    assert list(check(closed)) == []
    after = _contents(closed)
    for name in ("objects", "refs", "memo"):
        assert after[name].keys() >= before[name].keys(), name


def test_a_file_cut_short_is_salvaged(closed: Path) -> None:
    data = (closed / "data.mdb").read_bytes()
    (closed / "data.mdb").write_bytes(data[: len(data) // 2])
    assert repair(closed).remaining == ()
    assert list(check(closed)) == []
    assert len(_contents(closed)["objects"]) > 100


@pytest.mark.parametrize("data", [None, b"", b"\0" * 100_000])
def test_what_holds_nothing_cannot_be_repaired_and_stays(closed: Path, data: bytes | None) -> None:
    (closed / "data.mdb").unlink()
    if data is not None:
        (closed / "data.mdb").write_bytes(data)
    [problem] = repair(closed).remaining
    assert (problem.what, problem.where) == ("file", "data.mdb")
    assert "backup" in problem.remedy
    assert (closed / "data.mdb").exists() is (data is not None)


def test_a_file_of_another_store_is_not_taken(closed: Path, tmp_path: Path) -> None:
    name = meta.read_format(closed).object_format.name
    Store.init(tmp_path / "other", object_format=name).close()
    shutil.copy(tmp_path / "other" / "data.mdb", closed / "data.mdb")
    [problem] = repair(closed).remaining
    assert "another store" in problem.message


@pytest.mark.parametrize(
    ("old", "new"), [("\nid ", "\nid xyz"), ("redun store", "redum store"), ("\nengine", "\nengime")]
)
def test_a_format_file_is_written_anew(closed: Path, old: str, new: str) -> None:
    good = (closed / "FORMAT").read_text()
    (closed / "FORMAT").write_text(good.replace(old, new))
    repaired = repair(closed)
    assert (repaired.remaining, (closed / "FORMAT").read_text()) == ((), good)
    assert (Path(repaired.kept) / "FORMAT").exists()


@pytest.mark.parametrize("name", ["objects", "refs", "memo", "lost"])
def test_a_table_whose_name_is_damaged_is_known_again(closed: Path, name: str) -> None:
    before = _contents(closed)
    data = (closed / "data.mdb").read_bytes()
    spoiled = name[:-1] + "X"
    (closed / "data.mdb").write_bytes(data.replace(b"\0" + name.encode() + b"\0", b"\0" + spoiled.encode() + b"\0"))
    assert repair(closed).remaining == ()
    assert list(check(closed)) == []
    assert _contents(closed)["objects"].keys() >= before["objects"].keys()


def test_files_whose_rows_are_gone_get_their_rows_again(closed: Path) -> None:
    with Store.open(closed) as store:
        blob = store.put_blob([b"z" * 2_000_000], 2_000_000)
        holder = store.put_value({"data": b"z" * 2_000_000})
        store._backend.write(lambda txn: txn.delete("objects", blob))
    repaired = repair(closed)
    assert repaired.remaining == ()
    with Store.open(closed) as store:
        assert store.get_value(holder) == {"data": b"z" * 2_000_000}
        assert list(losses(store._backend)) == []


def test_a_damaged_file_is_kept_aside(closed: Path) -> None:
    [path] = [path for path in (closed / "blobs").rglob("*") if path.is_file()]
    path.chmod(0o644)
    path.write_bytes(b"?" * 2_048_000)
    repaired = repair(closed)
    assert repaired.remaining == ()
    assert (Path(repaired.kept) / path.name).read_bytes() == b"?" * 2_048_000
    assert (Path(repaired.kept) / "rows.msgpack").exists()
    assert not path.exists()


def test_a_store_that_is_open_elsewhere_is_left_alone(closed: Path) -> None:
    with Store.open(closed), pytest.raises(StoreLocked):
        repair(closed)


def test_a_new_data_file_is_sound_however_many_transactions_it_took_to_make(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.init(path) as store:
        store.put_many([("value", pack([number, "x" * 50])) for number in range(15_000)])
    few = meta_pages.newest(path)[0]
    _overwrite(path, _pages(path, 2)[40:41])
    assert repair(path).done
    assert meta_pages.newest(path)[0] - few < 5  # no more than came afterwards
    assert soundness.verify(path) == []
    with Store.open(path) as store:
        for number in range(20):
            store.put("value", pack(["later", number]))
    assert soundness.verify(path) == []


def test_numbers_of_log_entries_go_on_where_the_row_that_counts_them_was_damaged(closed: Path) -> None:
    with Store.open(closed) as store:
        before = store.reflog("mine")
        rows = dict(store._backend.read(lambda txn: txn.scan("meta", b"", 99)))
        changed = {b"seq": (1).to_bytes(8, "big"), b"id": bytes([rows[b"id"][0] ^ 1]) + rows[b"id"][1:]}
        store._backend.write(lambda txn: txn.put_many("meta", sorted(changed.items())))
    assert repair(closed).done
    with Store.open(closed) as store:
        store.set_ref("mine", None, expected=store.ref("mine"), reason="later")
        assert [entry.reason for entry in store.reflog("mine")] == ["later", *(entry.reason for entry in before)]
    assert list(check(closed)) == []
