"""The store as a program uses it: opening in every way, values, records, kinds of its own."""

from __future__ import annotations

import ast
import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import redun.store
from redun.core import kinds, limits
from redun.core.errors import (
    CannotDecode,
    CannotEncode,
    MalformedObject,
    NotAStore,
    NotFound,
    StoreDamaged,
    StoreError,
    StoreFormatError,
    StoreReadOnly,
)
from redun.core.objects import SourceRecord, TreeRecord
from redun.store import Pointer, Store, pack, register_kind, unpack
from redun.store.locate import create_store


@dataclasses.dataclass
class Point:
    """A class of a user."""

    x: int
    y: list[float]


def test_every_promised_name_is_there_and_known_to_type_checkers() -> None:
    tree = ast.parse(Path(redun.store.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [statement for statement in block.body if isinstance(statement, ast.ImportFrom)]
    seen = {alias.name: statement.module for statement in imports for alias in statement.names}
    assert seen == redun.store._HOMES
    assert sorted(seen) == redun.store.__all__ == dir(redun.store)
    for name in seen:
        assert getattr(redun.store, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Stroe'"):
        redun.store.Stroe  # noqa: B018


# -- opening ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pointer(tmp_path: Path) -> Path:
    """A pointer file that leads to a store."""
    create_store(tmp_path / "project", at=tmp_path / "local")
    return tmp_path / "project" / ".redun"


def test_a_pointer_file_opens_the_store_that_it_leads_to(tmp_path: Path, pointer: Path) -> None:
    with Store.open(pointer) as store:
        assert store.path == tmp_path / "local" / "store"
        digest = store.put("blob", b"x")
    with Store.open(pointer, read_only=True) as store:
        assert store.get(digest) == ("blob", b"x")
    with Store.init(pointer) as store:
        assert store.has(digest)


def test_a_pointer_file_that_leads_nowhere_makes_no_store(tmp_path: Path, pointer: Path) -> None:
    (tmp_path / "local").rename(tmp_path / "elsewhere")
    for attempt in (Store.open, Store.init):
        with pytest.raises(NotAStore, match="where there is no store"):
            attempt(pointer)
    assert not (tmp_path / "local").exists()


def test_a_file_that_is_no_pointer_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x00\x01")
    for attempt in (Store.open, Store.init):
        with pytest.raises(NotAStore, match="is not a pointer to a store"):
            attempt(tmp_path / "file")


def test_paths_are_taken_as_text_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.init("here") as store:
        assert store.path == tmp_path / "here"
    with Store.open(os.path.join("here", "..", "here")) as store:
        assert store.path == tmp_path / "here"


@pytest.mark.parametrize("attempt", [Store.open, Store.init])
def test_an_empty_path_is_an_error(attempt: Callable[[str], Store]) -> None:
    with pytest.raises(StoreError, match="is empty"):
        attempt("")


@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_no_store_is_not_opened_and_not_made(tmp_path: Path, read_only: bool) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(NotAStore) as raised:
            Store.open(path, read_only=read_only)
        assert str(path) in raised.value.message
        assert raised.value.path == str(path)
        assert raised.value.hint
    assert os.listdir(tmp_path) == ["empty"]
    assert os.listdir(tmp_path / "empty") == []


def test_a_newer_format_is_refused_with_the_way_out(tmp_path: Path) -> None:
    Store.init(tmp_path / "s").close()
    format_file = tmp_path / "s" / "FORMAT"
    format_file.write_text(format_file.read_text().replace("layout 1", "layout 2"))
    with pytest.raises(StoreFormatError, match=r"layout 2.*upgrade"):
        Store.open(tmp_path / "s")


def test_a_durability_and_an_object_format_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    fast: Any = "fast"
    with pytest.raises(StoreError, match="no durability 'fast'"):
        Store.init(tmp_path / "s", durability=fast)
    with pytest.raises(StoreFormatError, match="md5"):
        Store.init(tmp_path / "s", object_format="md5")
    with pytest.raises(StoreFormatError, match="md5"):
        Store.memory("md5")
    assert not (tmp_path / "s").exists()
    Store.init(tmp_path / "s").close()
    with pytest.raises(StoreError, match="no durability 'fast'"):
        Store.open(tmp_path / "s", durability=fast)


def test_one_path_is_open_with_several_settings_at_once(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s") as first, Store.open(tmp_path / "s", durability="durable") as second:
        digest = second.put("blob", b"x")
        with Store.open(tmp_path / "s", read_only=True) as reader:
            assert reader.get(digest) == first.get(digest)
            with pytest.raises(StoreReadOnly):
                reader.put("blob", b"y")
            with pytest.raises(StoreFormatError, match="sha256"):
                Store.init(tmp_path / "s", object_format="sha256")
        assert first.has(digest)


def test_a_project_or_what_is_around_a_store_is_told_from_nothing(tmp_path: Path, pointer: Path) -> None:
    create_store(tmp_path / "other")
    for path, hint in (
        (tmp_path / "other", f"there is one at {tmp_path}/other/.redun/store"),
        (tmp_path / "other" / ".redun", f"there is one at {tmp_path}/other/.redun/store"),
        (pointer.parent, f"{pointer} is a pointer file: open that"),
        (tmp_path / "missing", "Store.init makes one, redun init makes one for a project"),
    ):
        with pytest.raises(NotAStore) as raised:
            Store.open(path)
        assert raised.value.hint == hint


def test_an_id_in_hexadecimal_is_told_from_one(store: Store) -> None:
    digest: Any = store.put("blob", b"x").hex()
    for read in (store.get, store.open_blob, store.references, store.get_value, store.get_record):
        with pytest.raises(TypeError, match=r"an id is bytes, and '[0-9a-f]+' is a str: Digest\(bytes\.fromhex"):
            read(digest)


def test_a_closed_store_writes_not_even_the_file_of_a_blob(tmp_path: Path) -> None:
    store = Store.init(tmp_path / "s")
    store.close()
    data = bytes(limits.INLINE_BYTES + 1)
    for attempt in (lambda: store.put_blob([data], len(data)), lambda: store.put_value(data), store.transaction):
        with pytest.raises(StoreError, match="was closed"):
            attempt()
    assert not list((tmp_path / "s" / "blobs").iterdir())


def test_who_has_closed_is_told_so_while_others_go_on(tmp_path: Path) -> None:
    first, second = Store.init(tmp_path / "s"), Store.open(tmp_path / "s")
    digest = first.put("blob", b"x")
    first.close()
    first.close()
    attempts: list[Callable[[], object]] = [
        lambda: first.get(digest),
        lambda: first.put("blob", b"x"),
        lambda: list(first.objects()),
        first.refs,
        first.watch,
    ]
    for attempt in attempts:
        with pytest.raises(StoreError, match="was closed"):
            attempt()
    assert second.get(digest) == ("blob", b"x")
    second.close()


_NO_RIGHTS = """
import os, sys
from redun.store import NotAStore, Store, StoreReadOnly
Store.open(sys.argv[1], read_only=True).close()  # whatever loads late does so before this process gives up its rights
os.chmod(sys.argv[1], int(sys.argv[2], 8))
if os.getuid() == 0:
    os.setuid(65534)
try:
    Store.open(sys.argv[1])
except (NotAStore, StoreReadOnly) as error:
    print(type(error).__name__, bool(error.hint), error.path.startswith(sys.argv[1]))
"""


@pytest.mark.parametrize(("mode", "told"), [("000", "NotAStore"), ("555", "StoreReadOnly")])
def test_a_store_without_the_right_to_it_is_told_from_none(mode: str, told: str) -> None:
    with tempfile.TemporaryDirectory() as outside:  # not below `tmp_path`, which is private to this user
        path = Path(outside) / "s"
        Store.init(path).close()
        for each in path.rglob("*"):
            each.chmod(0o555 if each.is_dir() else 0o444)
        Path(outside).chmod(0o755)
        command = [sys.executable, "-c", _NO_RIGHTS, str(path), mode]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        for each in (path, *path.iterdir()):
            each.chmod(0o755)
    assert done.stdout.split() == [told, "True", "True"]


# -- objects ----------------------------------------------------------------------------------------------------------


def test_objects_are_listed_in_the_order_of_ids_with_their_kinds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCAN_KEYS", 3)
    put = dict.fromkeys(store.put_many([("blob", b"%d" % i) for i in range(7)]), "blob")
    put[store.put("value", b"\x01")] = "value"
    put[store.put("blob", bytes(limits.INLINE_BYTES + 1))] = "blob"
    put[store.put("tool.thing", b"\x01")] = "tool.thing"
    assert list(store.objects()) == sorted(put.items())
    assert list(store.objects("tool.thing")) == [item for item in sorted(put.items()) if item[1] == "tool.thing"]
    assert list(store.objects("call")) == []
    with pytest.raises(MalformedObject):
        store.objects("thing")


def test_listing_holds_no_transaction_between_its_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCAN_KEYS", 1)
    known = {store.put("blob", b"first")}
    for digest, _ in store.objects():
        assert digest in known
        assert store.readers() == []
        if len(known) < 9:
            known.add(store.put("blob", b"%d" % len(known)))


def test_references_are_the_pointers_of_an_object_in_its_order(store: Store) -> None:
    a, b = store.put_many([("blob", b"a"), ("blob", b"b")])
    holder = store.put("tool.pair", pack([1, Pointer(b), {"x": [Pointer(a), Pointer(b)]}]))
    assert store.references(holder) == [b, a, b]
    assert store.references(a) == []
    assert {digest for digest, _, _ in store.walk([holder])} == {a, b, holder}
    with pytest.raises(NotFound):
        store.references(redun.store.Digest(bytes(store.format.size)))


# -- values -----------------------------------------------------------------------------------------------------------

VALUES = [
    None,
    {"a": [1, 2.5, (3, "x")], 7: {1, 2}},
    Point(1, [2.0, 3.0]),
    "large " * limits.MIB,
    [bytes([i]) * limits.MIB for i in range(3)],
    list(range(400_000)),
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_value_comes_back_equal_and_new(store: Store, value: Any) -> None:
    digest = store.put_value(value)
    assert store.get_value(digest) == value
    if isinstance(value, (dict, list, Point)):
        assert store.get_value(digest) is not store.get_value(digest)
    assert store.put_value(value) == digest


def test_an_array_is_a_view_of_its_file(store: Store) -> None:
    array = np.arange(400_000, dtype="float64")
    found = store.get_value(store.put_value({"array": array}))["array"]
    assert np.array_equal(found, array)
    assert not found.flags.owndata


def test_what_has_no_encoding_is_told_by_its_place_and_nothing_is_written(store: Store) -> None:
    with pytest.raises(CannotEncode) as raised:
        store.put_value({"a": [1, (x for x in "y")]})
    assert "['a'][1]" in raised.value.path
    assert list(store.objects()) == []


def test_a_class_that_is_not_imported_is_not_imported_for_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass Square:\n    side: int\nprint('imported')\n"
    )
    script = "import sys; from redun.store import *; store = Store.init(sys.argv[1]); "
    put = script + "import shapes; print(store.put_value(shapes.Square(2)).hex())"
    get = script + "store.get_value(Digest(bytes.fromhex(sys.argv[2])))"

    def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, str(tmp_path / "s"), *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    digest = run(put).stdout.split()[1]
    done = run(get, digest)
    assert "imported" not in done.stdout
    assert "CannotDecode: " in done.stderr
    assert "shapes" in done.stderr


def test_an_object_that_is_no_value_is_not_taken_for_one(store: Store) -> None:
    with pytest.raises(CannotDecode, match="is a blob and no value"):
        store.get_value(store.put("blob", b"\x01"))
    with pytest.raises(MalformedObject):
        store.get_value(store.put("value", b"\xc1"))


# -- records, and kinds of one's own ----------------------------------------------------------------------------------


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind `tool.pair` of two pointers, registered for the time of one test."""

    def parse(payload: bytes) -> tuple[bytes, bytes]:
        version, left, right = unpack(payload)
        if version != 1 or type(left) is not Pointer or type(right) is not Pointer:
            raise ValueError("no pair")
        return left.digest, right.digest

    monkeypatch.setattr(kinds, "_parsers", {})
    register_kind("tool.pair", parse)


@pytest.mark.usefixtures("pairs")
def test_an_object_of_a_registered_kind_is_read_as_its_parser_reads_it(store: Store) -> None:
    a, b = store.put_many([("blob", b"a"), ("blob", b"b")])
    digest = store.put("tool.pair", pack([1, Pointer(a), Pointer(b)]))
    assert store.get(digest)[0] == "tool.pair"
    assert store.get_record(digest) == (a, b)
    assert store.resolve(digest.hex()) == [("tool.pair", digest)]


@pytest.mark.usefixtures("pairs")
def test_what_the_parser_does_not_take_is_not_put(store: Store) -> None:
    for payload in (pack([2, 1, 1]), pack([]), b"\xc1"):
        with pytest.raises(MalformedObject):
            store.put("tool.pair", payload)
        with pytest.raises(MalformedObject), store.transaction() as txn:
            txn.put("tool.pair", payload)
    assert list(store.objects()) == []


def test_a_kind_that_nobody_registered_is_stored_and_walked_and_not_parsed(store: Store) -> None:
    leaf = store.put("blob", b"leaf")
    digest = store.put("someone.elses", pack({"it": Pointer(leaf)}))
    assert store.get(digest) == ("someone.elses", pack({"it": Pointer(leaf)}))
    assert [kind for _, kind, _ in store.walk([digest])] == ["someone.elses", "blob"]
    with pytest.raises(MalformedObject, match="no parser is registered"):
        store.get_record(digest)
    with pytest.raises(MalformedObject, match="canonical"):
        store.put("someone.elses", b"\xcc\x01")
    with pytest.raises(MalformedObject, match="no kind of object"):
        store.put("thing", b"\x01")


@pytest.mark.parametrize("size", [1, limits.INLINE_BYTES - 40, limits.INLINE_BYTES, limits.INLINE_BYTES + 1])
def test_objects_of_ones_own_kinds_are_of_any_size_and_are_checked_when_read(tmp_path: Path, size: int) -> None:
    kind = "a-tool-with-a-long-name.thing"
    payload = pack(bytes(size))
    with Store.init(tmp_path / "s") as store:
        digest = store.put(kind, payload)
        assert store.get(digest) == (kind, payload)
        assert bytes(store.open_blob(digest)) == payload
        assert len(list((tmp_path / "s" / "blobs").rglob("*"))) == (2 if len(payload) > limits.INLINE_BYTES else 0)
        if len(payload) <= limits.INLINE_BYTES:
            row = store._backend.read(lambda txn: txn.get("objects", digest))
            assert row is not None
            for place in (0, 1, 5, len(row) - 1):
                damaged = bytearray(row)
                damaged[place] ^= 1
                store._backend.write(lambda txn, row=bytes(damaged): txn.put("objects", digest, row))  # type: ignore[misc]
                with pytest.raises(StoreDamaged):
                    store.get(digest)


def test_records_of_the_format_are_read_as_what_they_are(store: Store) -> None:
    for record, kind in ((SourceRecord("x = 1", "f.py", 3), "source"), (TreeRecord(0, 0, ()), "tree")):
        assert store.get_record(store.put(kind, record.payload())) == record
    for kind in ("blob", "value"):
        with pytest.raises(MalformedObject, match="is no record"):
            store.get_record(store.put(kind, b"\x01"))
