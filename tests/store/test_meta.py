from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from redun.core.codec import pack
from redun.core.digest import XXH3_128, ObjectFormat
from redun.core.errors import NotAStore, StoreDamaged, StoreFormatError, StoreLocked
from redun.store import Store, is_store, opening
from redun.store.locks import take
from redun.store.meta import Format, new_format, parse_format


def test_format_text_says_layout_objects_id_and_engine(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        text = (tmp_path / "FORMAT").read_text()
        assert text == f"redun store\nlayout 1\nobjects xxh3-128\nid {store.id.hex()}\nengine lmdb-0.9\n"
        assert parse_format(text, tmp_path / "FORMAT") == Format(XXH3_128, store.id)


def test_a_store_opens_as_it_was_made(tmp_path: Path, fmt: ObjectFormat) -> None:
    with Store.init(tmp_path / "a" / "b", object_format=fmt.name) as made:
        digest = made.put("value", pack("x"))
    for read_only in (False, True):
        with Store.open(tmp_path / "a" / "b", read_only=read_only) as store:
            assert (store.id, store.format, store.read_only) == (made.id, fmt, read_only)
            assert store.path == tmp_path / "a" / "b"
            assert store.get(digest) == ("value", pack("x"))
            assert "b" in repr(store)


def test_two_stores_have_two_ids(tmp_path: Path) -> None:
    with Store.init(tmp_path / "a") as a, Store.init(tmp_path / "b") as b, Store.memory() as c:
        assert len({a.id, b.id, c.id}) == 3
        assert {len(store.id) for store in (a, b, c)} == {16}


def test_init_of_a_store_opens_it(tmp_path: Path) -> None:
    with Store.init(tmp_path) as store:
        digest = store.put("value", pack(1))
    with Store.init(tmp_path) as again:
        assert again.id == store.id
        assert again.has(digest)


def test_init_with_another_object_format_is_refused(tmp_path: Path) -> None:
    Store.init(tmp_path).close()
    with pytest.raises(StoreFormatError, match="xxh3-128"):
        Store.init(tmp_path, object_format="sha256")


def test_init_with_an_unknown_object_format_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreFormatError, match="md5"):
        Store.init(tmp_path / "s", object_format="md5")
    assert not (tmp_path / "s").exists()
    with pytest.raises(StoreFormatError, match="md5"):
        Store.memory("md5")


def test_many_that_find_no_store_make_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: Store.init(tmp_path / "s"), range(8)))
    assert len({store.id for store in stores}) == 1
    for store in stores:
        store.close()


def test_no_store_is_an_error_that_names_init(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "file"):
        assert not is_store(path)
        with pytest.raises(NotAStore, match="redun init"):
            Store.open(path)
    Store.init(tmp_path / "s").close()
    assert is_store(tmp_path / "s")


def test_half_of_a_store_is_none_and_init_completes_it(tmp_path: Path) -> None:
    with Store.init(tmp_path) as made:
        digest = made.put("value", pack(1))
    (tmp_path / "FORMAT").unlink()
    with pytest.raises(NotAStore):
        Store.open(tmp_path)
    with pytest.raises(StoreFormatError, match="xxh3-128"):
        Store.init(tmp_path, object_format="sha256")
    with Store.init(tmp_path) as store:
        assert (store.id, store.get(digest)) == (made.id, ("value", pack(1)))


def test_init_goes_on_where_a_crash_left_an_empty_data_file(tmp_path: Path) -> None:
    tmp_path.joinpath("data.mdb").touch()
    with Store.init(tmp_path) as store:
        store.put("value", pack(1))


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("layout 1", "layout 2", StoreFormatError),
        ("layout 1", "layout one", StoreFormatError),
        ("layout 1\n", "", StoreFormatError),
        ("xxh3-128", "blake3", StoreFormatError),
        ("engine lmdb-0.9", "engine lmdb-1.0", StoreFormatError),
        ("engine", "requires magic\nengine", StoreFormatError),
        ("id ", "id 00", StoreFormatError),
        ("id ", "id x", StoreDamaged),
        ("engine lmdb-0.9\n", "", StoreDamaged),
        ("redun store", "something else", NotAStore),
    ],
)
def test_a_format_file_that_is_not_understood_is_refused(
    tmp_path: Path, old: str, new: str, error: type[Exception]
) -> None:
    Store.init(tmp_path).close()
    file = tmp_path / "FORMAT"
    file.write_text(file.read_text().replace(old, new))
    for read_only in (False, True):
        with pytest.raises(error):
            Store.open(tmp_path, read_only=read_only)


def test_bytes_that_are_not_text_are_no_format_file(tmp_path: Path) -> None:
    (tmp_path / "FORMAT").write_bytes(b"\xff\xfe")
    with pytest.raises(NotAStore):
        Store.open(tmp_path)


def test_the_data_file_of_another_store_is_noticed(tmp_path: Path) -> None:
    Store.init(tmp_path / "a").close()
    Store.init(tmp_path / "b").close()
    shutil.copy(tmp_path / "a" / "data.mdb", tmp_path / "b" / "data.mdb")
    with pytest.raises(StoreDamaged, match="another store"):
        Store.open(tmp_path / "b")


def test_new_formats_have_ids_of_their_own() -> None:
    assert new_format("sha256").store_id != new_format("sha256").store_id


def test_a_store_that_is_being_swept_is_locked_for_writers_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_PATIENCE_S", 0.1)
    Store.init(tmp_path).close()
    sweeper = take(tmp_path / "session.lock")
    assert sweeper is not None
    with pytest.raises(StoreLocked):
        Store.open(tmp_path)
    Store.open(tmp_path, read_only=True).close()
    sweeper.release()
    with Store.open(tmp_path), Store.open(tmp_path):
        assert take(tmp_path / "session.lock") is None


def test_a_store_that_failed_to_open_leaves_nothing_open(tmp_path: Path) -> None:
    Store.init(tmp_path).close()
    good = (tmp_path / "FORMAT").read_text()
    (tmp_path / "FORMAT").write_text(good.replace("id ", "id ff").replace(good[-18:-16], good[-18:-16]))
    with pytest.raises(StoreFormatError):
        Store.open(tmp_path)
    (tmp_path / "FORMAT").write_text(good)
    sweeper = take(tmp_path / "session.lock")
    assert sweeper is not None
    sweeper.release()


def test_the_package_loads_nothing_until_it_is_used() -> None:
    script = """
import sys
import redun.store
print([m for m in sys.modules if m.startswith("redun.store.") or m in ("lmdb", "click")])
redun.store.Store.memory().close()
late = ("redun.executor", "redun.cli", "lmdb", "click", "asyncio", "inspect", "dataclasses")
print([m for m in sys.modules if m.startswith(late)])
"""
    answer = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert answer.split("\n")[:2] == ["[]", "[]"]


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    import redun.store

    with pytest.raises(AttributeError, match="Shop"):
        redun.store.Shop  # noqa: B018
