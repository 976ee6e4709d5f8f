"""Where a store is: found upwards from a directory, made in one, or named by a path. No environment variables here.

A project keeps its store in `.redun/store`. `.redun` may also be a *pointer file*: one line with the path of a directory
that holds `store/`, for projects that lie on a disk where a store must not be (a network file system).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from redun.core.errors import NotAStore, StoreError, StoreFormatError, StoreReadOnly

CONFIG_NAME: Final = ".redun"
STORE_NAME: Final = "store"
#: Longest path that Linux takes; a `.redun` file above this is no pointer.
_POINTER_BYTES: Final = 4096


def find_store(start: str | os.PathLike[str]) -> Path | None:
    """Returns the store of `start` or of the nearest directory above it, or None.

    A `.redun` directory without a store inside (left by another tool, or for configuration only) is passed over. A pointer
    file is followed, and never passed over.

    Raises:
        NotAStore: if a pointer file on the way leads nowhere.
    """
    directory = Path(os.path.abspath(start))
    for place in (directory, *directory.parents):
        store = store_of(place)
        if store is not None:
            return store
    return None


def store_of(directory: str | os.PathLike[str]) -> Path | None:
    """Returns the store of `directory/.redun`, or None; directories above are not searched.

    Raises:
        NotAStore: if `.redun` is a pointer file that leads nowhere.
    """
    config = Path(directory) / CONFIG_NAME
    if os.path.isdir(config / STORE_NAME):
        return config / STORE_NAME
    return follow_pointer(config) if os.path.isfile(config) else None


def store_at(path: str | os.PathLike[str]) -> Path:
    """Returns the store that a user means by `path`: the store itself, its `.redun`, a project with one, or a pointer file.

    Raises:
        NotAStore: if there is none.
    """
    place = Path(os.path.abspath(path))
    if os.path.isfile(place):
        return follow_pointer(place)
    if _is_store(place):
        return place
    if os.path.isdir(place / STORE_NAME):
        return place / STORE_NAME
    store = store_of(place)
    if store is not None:
        return store
    what = "no store in" if os.path.isdir(place) else "no directory"
    raise NotAStore(f"{what} {place}", path=str(place), hint=f"redun init {place} makes one")


def follow_pointer(pointer: Path) -> Path:
    """Returns the store that a pointer file leads to; a relative path counts from the file's directory.

    Raises:
        NotAStore: if it is not one line with the path of a directory that holds a store.
    """
    try:
        with open(pointer, "rb") as file:
            data = file.read(_POINTER_BYTES + 1)
    except OSError as error:
        raise NotAStore(f"cannot read {pointer}: {error.strerror}", path=str(pointer)) from None
    line = os.fsdecode(data.strip(b"\r\n"))
    if not line or len(data) > _POINTER_BYTES or "\n" in line or "\0" in line:
        hint = f"it should hold one line, the path of a directory with {STORE_NAME}/ inside"
        raise NotAStore(f"{pointer} is not a pointer to a store", path=str(pointer), hint=hint)
    target = pointer.parent / line
    if not os.path.isdir(target / STORE_NAME):
        hint = f"bring that directory back, or remove {pointer} and run redun init"
        raise NotAStore(f"{pointer} points to {target}, where there is no store", path=str(pointer), hint=hint)
    return Path(os.path.abspath(target / STORE_NAME))


def create_store(
    directory: str | os.PathLike[str], *, object_format: str = "xxh3-128", at: str | os.PathLike[str] | None = None
) -> Path:
    """Makes the store of a project and returns its path; one that exists already is left as it is and returned.

    Args:
        directory: the project; made when missing. Its `.redun` will hold the store, or point to it.
        object_format: how objects are named, fixed for the life of the store.
        at: directory that shall hold the store instead; `.redun` becomes a pointer file to it.

    Raises:
        StoreFormatError: if a store is there already and names objects otherwise.
        NotAStore: if `.redun` is a pointer file that leads nowhere.
        StoreReadOnly: if the place admits no writing.
        StoreError: if `.redun` is something else, or has a store of its own although `at` is given.
    """
    place = Path(os.path.abspath(directory))
    config = place / CONFIG_NAME
    existing = store_of(place)
    try:
        if at is None:
            return _make(existing.parent if existing is not None else config, object_format)
        home = Path(os.path.abspath(at))
        if existing is not None and not os.path.samefile(existing.parent, home):
            hint = "move its store away first, or leave out --at"
            raise StoreError(f"{config} has a store already, at {existing}", path=str(existing), hint=hint)
        store = _make(home, object_format)
        if existing is None:
            _point(config, home)
    except FileExistsError as error:
        hint = "remove it, or choose another directory"
        raise StoreError(f"{error.filename} is in the way of a store", path=str(error.filename), hint=hint) from None
    except OSError as error:
        where = error.filename or str(config)
        hint = "choose a directory that you may write to, or name a store with --store"
        raise StoreReadOnly(f"cannot make a store in {where}: {error.strerror}", path=str(where), hint=hint) from None
    return store


def object_format_of(store: Path) -> str:
    """Returns the name of the object format of a store.

    Raises:
        NotAStore, StoreFormatError: if it is no store, or one that this program does not read.
    """
    # Here and not at the top: finding a store is on the path of every command, opening one for writing is not.
    from redun.store import Store

    with Store.open(store, read_only=True) as opened:
        return opened.format.name


def _is_store(directory: Path) -> bool:
    return os.path.isfile(directory / "FORMAT")


def _make(config: Path, object_format: str) -> Path:
    store = config / STORE_NAME
    if _is_store(store):
        found = object_format_of(store)
        if found != object_format:
            hint = "a store keeps its format for life; make another one elsewhere"
            raise StoreFormatError(f"the store {store} has object format {found}", path=str(store), hint=hint)
        return store
    from redun.store import Store  # as in object_format_of

    config.mkdir(parents=True, exist_ok=True)
    ignore = config / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    Store.init(store, object_format=object_format).close()
    return store


def _point(config: Path, home: Path) -> None:
    if config.is_dir() and not config.is_symlink():
        # An empty `.redun` directory is in the way of nothing; one with content is not ours to remove.
        try:
            config.rmdir()
        except OSError:
            raise FileExistsError(17, "directory not empty", str(config)) from None
    temporary = config.with_name(f"{CONFIG_NAME}.{os.getpid()}.tmp")
    temporary.write_bytes(os.fsencode(home) + b"\n")
    os.replace(temporary, config)
