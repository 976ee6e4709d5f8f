"""The directory of a store: what lies in it, its FORMAT file, and the id that ties its data file to it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from redun.core.digest import ObjectFormat, object_format
from redun.core.errors import NotAStore, StoreDamaged, StoreFormatError
from redun.store.filesystem import make_directory, sync_directory, translated, write_whole
from redun.store.ports import Backend

#: Version of the layout of directory and tables. A program refuses a greater one.
LAYOUT: Final = 1
ENGINE: Final = "lmdb-0.9"
STORE_ID_BYTES: Final = 16
FOLDERS: Final = ("blobs", "incoming", "collisions", "runs")

_FIRST_LINE: Final = "redun store"
_NEWER: Final = "a newer redun wrote it: upgrade"
_LOST: Final = "where data.mdb beside it is whole, remove {} and run redun init: it is written again"


class Format(NamedTuple):
    """What the FORMAT file says."""

    object_format: ObjectFormat
    store_id: bytes
    layout: int = LAYOUT
    engine: str = ENGINE

    def text(self) -> str:
        """Returns the text of the file."""
        return (
            f"{_FIRST_LINE}\nlayout {self.layout}\nobjects {self.object_format.name}\n"
            f"id {self.store_id.hex()}\nengine {self.engine}\n"
        )


def parse_format(text: str, path: Path) -> Format:
    """Returns what the text of a FORMAT file says.

    Raises:
        NotAStore: if it is not the file of a store.
        StoreFormatError: if a newer program wrote it, or it says what this one does not understand.
    """
    lines = text.splitlines()
    if not lines or lines[0] != _FIRST_LINE:
        raise NotAStore(f"{path} is not the FORMAT file of a store", path=str(path), hint=_LOST.format(path))
    facts = (line.partition(" ") for line in lines[1:] if line)
    fields = {name: fact for name, _, fact in facts}
    layout = fields.pop("layout", "")
    if layout != str(LAYOUT):
        raise StoreFormatError(
            f"the store at {path.parent} has layout {layout or '?'}, and this program knows {LAYOUT}",
            path=str(path),
            hint=_NEWER,
        )
    try:
        fmt = object_format(fields.pop("objects"))
        store_id = bytes.fromhex(fields.pop("id"))
        engine = fields.pop("engine")
    except (KeyError, ValueError) as error:
        raise StoreDamaged(f"{path} lacks a field or holds a wrong one: {error}", path=str(path)) from None
    if fields or engine != ENGINE or len(store_id) != STORE_ID_BYTES:
        what = ", ".join(fields) or f"engine {engine}, id of {len(store_id)} bytes"
        raise StoreFormatError(f"{path} asks for what this program does not know: {what}", path=str(path), hint=_NEWER)
    return Format(fmt, store_id)


def read_format(directory: Path) -> Format:
    """Returns the format of the store in a directory.

    Raises:
        NotAStore: if there is none.
        StoreFormatError: if this program does not read it.
    """
    path = directory / "FORMAT"
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise NotAStore(f"no store at {directory}", path=str(directory), hint=_way_out(directory)) from None
    except UnicodeDecodeError:
        raise NotAStore(f"{path} is not text", path=str(path), hint=_LOST.format(path)) from None
    except OSError as error:
        raise NotAStore(
            f"cannot read {path}: {error.strerror}", path=str(path), hint="ask its owner, or name another: --store PATH"
        ) from None
    return parse_format(text, path)


def _way_out(directory: Path) -> str:
    """What to do about a directory that is no store: it may be the project, or what is around the store."""
    for inside in (directory / "store", directory / ".redun" / "store"):
        if is_store(inside):
            return f"there is one at {inside}"
    if (directory / ".redun").is_file():
        return f"{directory / '.redun'} is a pointer file: open that"
    return "Store.init makes one, redun init makes one for a project"


def make_directories(directory: Path) -> None:
    """Makes the directory of a store and those in it.

    Raises:
        StoreReadOnly, StoreFull, StoreError: if that fails.
    """
    with translated(directory):
        make_directory(directory)
        for name in FOLDERS:
            os.makedirs(directory / name, exist_ok=True)


def new_format(name: str) -> Format:
    """Returns the format of a new store, with an id of its own.

    Raises:
        StoreFormatError: if this program knows no object format of that name.
    """
    return Format(object_format(name), os.urandom(STORE_ID_BYTES))


def write_format(directory: Path, fmt: Format) -> None:
    """Writes the FORMAT file: the last step of making a store, so that half of one is none."""
    with translated(directory):
        sync_directory(directory)  # what it promises to be there has its name on the disk before
        write_whole(directory / "FORMAT", fmt.text())


def write_identity(backend: Backend, fmt: Format) -> None:
    """Writes into the tables what FORMAT says, so that a data file from another store is noticed."""
    facts = [(b"id", fmt.store_id), (b"layout", b"%d" % fmt.layout), (b"objects", fmt.object_format.name.encode())]
    backend.write(lambda txn: txn.put_many("meta", facts))


def read_identity(backend: Backend) -> Format | None:
    """Returns what the tables say that FORMAT should say, or None if nothing was written there.

    Raises:
        StoreFormatError: if this program does not know the object format.
    """
    found = dict(backend.read(lambda txn: txn.get_many("meta", [b"id", b"objects"])))
    if len(found) != 2:
        return None
    return Format(object_format(found[b"objects"].decode("ascii", "replace")), found[b"id"])


#: Row of the table `meta`: how what is put is compressed.
COMPRESSION: Final = b"compression"


def read_compression(backend: Backend) -> str:
    """Returns how what is put is compressed; `none` where nothing was said, or what this program cannot do."""
    found = backend.read(lambda txn: txn.get("meta", COMPRESSION))
    return "zstd" if found == b"zstd" else "none"


def write_compression(backend: Backend, name: str) -> None:
    """Says how what is put from now on is compressed. What is there stays as it is."""
    backend.write(lambda txn: txn.put("meta", COMPRESSION, name.encode()))


def check_identity(backend: Backend, fmt: Format, directory: Path) -> None:
    """Checks that the tables belong to the FORMAT file next to them.

    Raises:
        StoreDamaged: if they do not.
    """
    if read_identity(backend) != fmt:
        raise StoreDamaged(
            f"data.mdb in {directory} belongs to another store than FORMAT",
            path=str(directory),
            hint="data files are not copied between stores: use push, pull or a bundle",
        )


def is_store(path: str | os.PathLike[str]) -> bool:
    """Returns whether a path is the directory of a store (of any version)."""
    return (Path(path) / "FORMAT").is_file()
