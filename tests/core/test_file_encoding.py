"""How files and sets of them are written: bytes that stay, that come back, and that strangers cannot bend."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core import codes
from redun.core.codec import ExtType, Pointer, pack, unpack, unpack_strict
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.display import show
from redun.core.errors import CannotDecode, CannotEncode, MalformedObject
from redun.core.files.file import ContentFile, File, IFile
from redun.core.files.members import check, packed
from redun.core.files.memo import STATS
from redun.core.files.places import place_of
from redun.core.files.sets import ContentDir, ContentFileSet, Dir, FileSet, IDir, IFileSet
from redun.core.forms import type_name
from redun.core.json_form import to_json
from redun.core.values import Encoder

A = hashlib.sha256(b"a").digest()
SECOND = 1_600_000_000 * 10**9


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    STATS.fresh.clear()


def _written() -> None:
    os.mkdir("d")
    Path("d/a").write_bytes(b"a")
    os.utime("d/a", ns=(SECOND, SECOND))


def _inner(value: Any) -> Any:
    ext = unpack(Encoder(DEFAULT_FORMAT).encode(value).payload)
    assert ext.code in (codes.FILE, codes.FILESET)
    return unpack(ext.data)


def _decoded(code: int, items: list[Any]) -> Any:
    return Decoder({}.__getitem__).decode(pack(ExtType(code, pack(items))))


def _round_trip(value: Any) -> Any:
    encoder = Encoder(DEFAULT_FORMAT)
    encoded = encoder.encode(value)
    unpack_strict(encoded.payload)
    decoder = Decoder(encoder.objects.__getitem__)
    found = decoder.decode(encoded.payload)
    assert len(decoder.externals) == len(encoded.externals)
    again = Encoder(DEFAULT_FORMAT)
    assert again.encode(found).payload == encoded.payload
    assert again.objects == encoder.objects
    return found


# -- bytes that stay --------------------------------------------------------------------------------------------------

MAP = hashlib.sha256(pack({"a": A})).digest()
STAT = bytes.fromhex("cebdcd1cd555c2645a565fa7493ecd94")
GOLDEN = {
    "file": (lambda: File("d/a"), ["File", "d/a", A]),
    "missing file": (lambda: File("no"), ["File", "no", None]),
    "file by stat": (lambda: File("d/a", by="stat"), ["File/stat", "d/a", STAT]),
    "file by content, said": (lambda: File("d/a", by="content"), ["File", "d/a", A]),
    "content file": (lambda: ContentFile("d/a"), ["ContentFile", "d/a", A]),
    "immutable file": (lambda: IFile("d/a"), ["IFile", "d/a", b""]),
    "set": (lambda: FileSet("d/*"), ["FileSet", "d/*", False, MAP, 1, {"a": A}]),
    "set by stat": (
        lambda: FileSet("d/*", by="stat"),
        ["FileSet/stat", "d/*", False, hashlib.sha256(pack({"a": STAT})).digest(), 1, {"a": STAT}],
    ),
    "directory": (lambda: Dir("d", hidden=True), ["Dir", "d", True, MAP, 1, {"a": A}]),
    "content set": (lambda: ContentFileSet("d/*"), ["ContentFileSet", "d/*", False, MAP, 1, {"a": A}]),
    "content directory": (lambda: ContentDir("d"), ["ContentDir", "d", False, MAP, 1, {"a": A}]),
    "immutable set": (lambda: IFileSet("d/*"), ["IFileSet", "d/*", False, b"", 0, {}]),
    "immutable directory": (lambda: IDir("d"), ["IDir", "d", False, b"", 0, {}]),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_value_is_written_as_it_always_was(name: str):
    _written()
    make, expected = GOLDEN[name]
    assert _inner(make()) == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_a_value_comes_back_equal_and_of_its_kind(name: str):
    _written()
    value = GOLDEN[name][0]()
    found = _round_trip(value)
    assert type(found) is type(value)
    assert found == value
    assert hash(found) == hash(value)
    assert found.is_valid()


@dataclass
class Sample:
    reads: File
    more: Dir


def test_files_are_parts_of_any_value():
    _written()
    value = {File("d/a"): [Sample(File("no"), Dir("d")), (FileSet("*"),)], "set": {Dir("d"), File("d/a")}}
    assert _round_trip(value) == value


# -- large sets -------------------------------------------------------------------------------------------------------


def _members(count: int) -> dict[str, bytes]:
    return {f"sub/file_{number:06}.txt": hashlib.sha256(b"%d" % number).digest() for number in range(count)}


def _pieces(members: dict[str, bytes]) -> list[bytes]:
    encoder = Encoder(DEFAULT_FORMAT)
    encoder.encode(Dir.known("d", False, "content", members))
    return [payload for kind, payload in encoder.objects.values() if kind == "value"]


def test_a_large_set_is_written_in_pieces_and_comes_back():
    members = _members(30_000)
    value = Dir.known("d", False, "content", members)
    found = _round_trip(value)
    assert found == value
    assert list(found.members()) == list(members)
    pieces = [unpack(piece) for piece in _pieces(members)]
    assert 3 <= len(pieces) <= 20
    assert {path: state for piece in pieces for path, state in piece.items()} == members
    items = _inner(value)
    assert items[4] == 30_000
    assert all(type(piece) is Pointer for piece in items[5])


def test_pieces_begin_where_the_format_says():
    rest = list(_pieces_by_the_book(_members(30_000)))
    assert rest == [unpack(piece) for piece in packed(_members(30_000))]


def _pieces_by_the_book(members: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    piece: dict[str, bytes] = {}
    size = 0
    for path, state in members.items():
        size += 40 + len(path.encode())
        if piece and (zlib.crc32(path.encode()) % 4096 == 0 or size > 524_288):
            yield piece
            piece, size = {}, 40 + len(path.encode())
        piece[path] = state
    yield piece


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
def test_a_change_of_one_member_rewrites_one_piece(change: str):
    members = _members(30_000)
    before = set(_pieces(members))
    if change == "edit":
        members["sub/file_000007.txt"] = A
    elif change == "add":
        members = dict(sorted({**members, "sub/file_000007.new": A}.items()))
    else:
        del members["sub/file_000007.txt"]
    after = set(_pieces(members))
    assert len(after - before) <= 2  # a piece that was cut for its size moves where it was cut
    assert len(after & before) >= len(before) - 2


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="\0/", codec=None), min_size=1).filter(lambda s: s not in (".", "..")),
        st.binary(min_size=1, max_size=40),
    )
)
def test_members_of_any_names_come_back(members: dict[str, bytes]):
    value = FileSet.known("*", False, "content", dict(sorted(members.items())))
    assert _round_trip(value).members() == value.members()


# -- bytes of strangers -----------------------------------------------------------------------------------------------


def _set(members: Any, **changes: Any) -> list[Any]:
    digest = hashlib.sha256(pack(members)).digest() if type(members) is dict else b""
    given = {"kind": "Dir", "pattern": "d", "hidden": False, "digest": digest, "count": len(members)} | changes
    return [*given.values(), members]


@pytest.mark.parametrize(
    "items",
    [
        _set({"b": A, "a": A}),
        _set({"/etc/passwd": A}),
        _set({"../x": A}),
        _set({"a/../../x": A}),
        _set({"a/..": A}),
        _set({"./a": A}),
        _set({"a/./b": A}),
        _set({"a//b": A}),
        _set({"a/": A}),
        _set({"": A}),
        _set({".": A}),
        _set({"..": A}),
        _set({"a\0b": A}),
        _set({b"a": A}),
        _set({1: A}),
        _set({"a": None}),
        _set({"a": "text"}),
        _set({"a": A}, digest=A),
        _set({"a": A}, count=2),
        _set({"a": A}, kind="Dirs"),
        _set({"a": A}, kind="File"),
        _set({"a": A}, kind="os:Dir"),
        _set({"a": A}, kind="ContentDir/stat"),
        _set({"a": A}, kind="Dir/path"),
        _set({"a": A}, kind=None),
        _set({"a": A}, pattern=""),
        _set({"a": A}, pattern="a\0"),
        _set({"a": A}, pattern=3),
        _set({"a": A}, hidden=1),
        _set([["a", A]]),
        _set(["a"]),
        _set({"a": A})[:5],
        [*_set({"a": A}), None, 1],
        [],
    ],
    ids=repr,
)
def test_a_set_that_nobody_writes_is_refused(items: list[Any]):
    with pytest.raises((MalformedObject, CannotDecode)):
        _decoded(codes.FILESET, items)
    assert show(pack(ExtType(codes.FILESET, pack(items))))  # what shows it does not fail


def test_names_that_only_look_odd_are_taken():
    members = dict(sorted(dict.fromkeys(("...", "..a", ".a", "a..", "a/.b/..c", "-", " ", "a\nb", "~"), A).items()))
    assert check(members) == members
    assert _decoded(codes.FILESET, _set(members)).members() == members


@pytest.mark.parametrize(
    "items",
    [["File", "", A], ["File", "a\0", A], ["File", 3, A], ["File", "a", "text"], ["File", "a"], ["Dir", "a", A],
     ["File/path", "a", A], ["File/", "a", A], ["IFile/stat", "a", A], ["os:File", "a", A], [None, "a", A], []],
    ids=repr,
)  # fmt: skip
def test_a_file_that_nobody_writes_is_refused(items: list[Any]):
    with pytest.raises((MalformedObject, CannotDecode)):
        _decoded(codes.FILE, items)
    assert show(pack(ExtType(codes.FILE, pack(items))))


# -- how they are shown -----------------------------------------------------------------------------------------------


def test_values_are_shown_as_python_shows_them():
    _written()
    for make, _ in GOLDEN.values():
        encoder = Encoder(DEFAULT_FORMAT)
        found = Decoder(encoder.objects.__getitem__).decode(encoder.encode(make()).payload)
        assert show(encoder.encode(found).payload) == repr(found)


def test_a_name_that_a_terminal_would_obey_is_escaped():
    name = os.fsdecode(b"\x1b[2J\xff\n")
    shown = [show(Encoder(DEFAULT_FORMAT).encode(value).payload) for value in (File(name), Dir(name), FileSet(name))]
    assert all(r"path=\x1b[2J\udcff\n" in text or r"pattern=\x1b[2J\udcff\n" in text for text in shown)
    assert all(text.isprintable() for text in shown)


def test_values_as_json_name_their_members():
    _written()
    assert to_json(Encoder(DEFAULT_FORMAT).encode(Dir("d")).payload) == {
        "$fileset": "Dir",
        "path": "d",
        "hidden": False,
        "hash": MAP.hex(),
        "count": 1,
        "members": {"a": {"$bytes": A.hex()}},
    }
    assert to_json(Encoder(DEFAULT_FORMAT).encode(File("d/a")).payload) == {
        "$file": "File",
        "path": "d/a",
        "hash": A.hex(),
    }


# -- classes of the user's --------------------------------------------------------------------------------------------


class Table(File):
    """A file with a method more."""

    def rows(self) -> list[str]:
        return self.read().splitlines()


class Named(File):
    """A file with an attribute more."""

    def __init__(self, path: str, name: str) -> None:
        super().__init__(path)
        self.name = name


class Tables(Dir):
    """A directory with a method more."""


def test_a_class_that_derives_from_a_file_is_a_file_too():
    _written()
    for value in (Table("d/a"), Table("d/a", by="stat"), Tables("d"), Tables("d", by="stat")):
        encoder = Encoder(DEFAULT_FORMAT)
        encoded = encoder.encode([value])
        assert encoded.code == (type(value),)
        assert encoded.externals == (value,)
        [found] = _round_trip([value])
        assert type(found) is type(value)
        assert found == value
        assert found.is_valid()
        assert place_of(found) == place_of(value) is not None
        assert show(encoder.encode(value).payload).startswith(f"{type(value).__name__}(path=d")
        assert type_name(unpack(encoder.encode(value).payload)) == f"{__name__}.{type(value).__name__}"
    assert _round_trip(Table("d/a")).rows() == ["a"]
    assert Table("d/a") != File("d/a")
    Path("d/a").write_text("b")
    assert not found.is_valid()


def test_a_file_with_attributes_that_would_be_lost_is_no_value():
    with pytest.raises(CannotEncode, match=r"value\[0\]: d/a: a Named has attributes that are not stored: name"):
        Encoder(DEFAULT_FORMAT).encode([Named("d/a", "a")])


@pytest.mark.parametrize("kind", ["os:PathLike", f"{__name__}:Tables", f"{__name__}:Table/path", "redun.file:File"])
def test_a_class_that_is_no_file_is_refused(kind: str):
    with pytest.raises((MalformedObject, CannotDecode)):
        _decoded(codes.FILE, [kind, "d/a", A])


def test_a_file_of_a_class_that_is_not_here_cannot_be_decoded():
    with pytest.raises(CannotDecode, match="nosuch:Table"):
        _decoded(codes.FILE, ["nosuch:Table", "d/a", A])
