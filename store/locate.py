"""Where a store is: found upwards from a directory, made in one, or named by a path. No environment variables here.

A project keeps its store in `.redun/store`. `.redun` may also be a *pointer file*: one line with the path of a
directory that holds `store/`, for projects that lie on a disk where a store must not be (a network file system).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from redun.core.errors import NotAStore, StoreError, StoreFormatError

CONFIG_NAME: Final = ".redun"
STORE_NAME: Final = "store"
#: Longest path that Linux takes; a `.redun` file above this is no pointer.
_POINTER_BYTES: Final = 4096


def find_store(start: str | os.PathLike[str]) -> Path | None:
    """Returns the store of `start` or of the nearest directory above it, or None.

    A `.redun` directory without a store inside (left by another tool, or for configuration only) is passed over. A
    pointer file is followed, and never passed over.

    Raises:
        NotAStore: if a pointer file on the way leads nowhere, or a `.redun` admits no look inside.
    """
    directory = _absolute(start)
    for place in (directory, *directory.parents):
        store = store_of(place)
        if store is not None:
            return store
    return None


def store_of(directory: str | os.PathLike[str]) -> Path | None:
    """Returns the store of `directory/.redun`, or None; directories above are not searched.

    Raises:
        NotAStore: if `.redun` is a pointer file that leads nowhere, or admits no look inside.
    """
    config = _absolute(directory) / CONFIG_NAME
    if os.path.isfile(config):
        return follow_pointer(config)
    if not os.path.isdir(config):
        return None
    return config / STORE_NAME if _holds_store(config) else None


def store_at(path: str | os.PathLike[str]) -> Path:
    """Returns the store that a user means by `path`: itself, its `.redun`, a project with one, or a pointer file.

    Raises:
        NotAStore: if there is none.
    """
    place = _absolute(path)
    if os.path.isfile(place):
        return follow_pointer(place)
    if _is_store(place):
        return place
    if _holds_store(place):
        return place / STORE_NAME
    store = store_of(place)
    if store is not None:
        return store
    what = "no store in" if os.path.isdir(place) else "no directory"
    raise NotAStore(f"{what} {place}", path=str(place), hint=f"redun init {_project(place)} makes one")


def directory_of(path: str | os.PathLike[str]) -> Path:
    """Returns the directory that a program means by the path of a store: itself, or where a pointer file leads.

    Raises:
        NotAStore: if it is a file that does not lead to a store.
        StoreError: if it is empty.
    """
    if not os.fspath(path):
        raise StoreError("the path of the store is empty", hint="a directory, such as proj/.redun/store")
    place = _absolute(path)
    return follow_pointer(place) if os.path.isfile(place) else place


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
    if not _holds_store(target):
        hint = f"bring that directory back, or remove {pointer} and run redun init"
        raise NotAStore(f"{pointer} points to {target}, where there is no store", path=str(pointer), hint=hint)
    return _absolute(target / STORE_NAME)


def create_store(
    directory: str | os.PathLike[str],
    *,
    object_format: str | None = None,
    at: str | os.PathLike[str] | None = None,
) -> Path:
    """Makes the store of a project and returns its path; one that exists already is left as it is and returned.

    Two processes may do so at once: one makes the store, the other finds it.

    Args:
        directory: the project; made when missing. Its `.redun` will hold the store, or point to it.
        object_format: how objects are named, fixed for the life of the store; None takes what is there, or the default.
        at: directory that shall hold the store instead; `.redun` becomes a pointer file to it.

    Raises:
        StoreFormatError: if a store is there already and names objects otherwise.
        NotAStore: if `.redun` is a pointer file that leads nowhere.
        StoreReadOnly, StoreFull: if the place admits no writing, or has no room.
        StoreError: if something is in the way, as a store of its own where `at` is given; or what making one raises.
    """
    # Here and not at the top, as below: most commands find a store, and making one is rare.
    from redun.store.filesystem import translated

    config = _absolute(directory) / CONFIG_NAME
    existing = store_of(directory)
    if at is None:
        home = existing.parent if existing is not None else config
        with translated(home):
            return _make(home, object_format)
    home = _absolute(at)
    if existing is not None and not (home.is_dir() and existing.parent.samefile(home)):
        hint = "move it away first, or leave out --at"
        raise StoreError(f"there is a store already: {existing}", path=str(existing), hint=hint)
    with translated(home):
        store = _make(home, object_format)
    if existing is None:
        with translated(config):
            _point(config, home)
    return store


def store_place(directory: str | os.PathLike[str]) -> Path:
    """Returns where the store of a project is, or would be.

    Raises:
        NotAStore: if `.redun` is a pointer file that leads nowhere, or admits no look inside.
    """
    return store_of(directory) or _absolute(directory) / CONFIG_NAME / STORE_NAME


def object_format_of(store: Path) -> str:
    """Returns the name of the object format of a store.

    Raises:
        NotAStore, StoreFormatError: if it is no store, or one that this program does not read.
    """
    from redun.store.meta import read_format

    return read_format(store).object_format.name


def _absolute(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(os.path.abspath(path))
    except FileNotFoundError as error:
        hint = "change to a directory that exists"
        raise NotAStore(f"the working directory is gone: {error.strerror}", hint=hint) from None


def _is_store(directory: Path) -> bool:
    # FORMAT is written last, so half of a store is none.
    try:
        os.stat(directory / "FORMAT")
    except PermissionError as error:
        hint = "ask its owner, or name another: --store PATH"
        raise NotAStore(f"cannot look into {directory}: {error.strerror}", path=str(directory), hint=hint) from None
    except OSError:
        return False
    return True


def _holds_store(config: Path) -> bool:
    return _is_store(config / STORE_NAME)


def _project(place: Path) -> Path:
    """Returns the directory to run `redun init` in, for it to make the store that `place` was meant to be."""
    if place.name == STORE_NAME and place.parent.name == CONFIG_NAME:
        return place.parent.parent
    return place.parent if place.name == CONFIG_NAME else place


def _make(config: Path, object_format: str | None) -> Path:
    store = config / STORE_NAME
    if _is_store(store):
        found = object_format_of(store)
        if object_format not in (None, found):
            hint = "a store keeps its format for life; make another one elsewhere"
            raise StoreFormatError(f"the store {store} has object format {found}", path=str(store), hint=hint)
        return store
    from redun.store import Store
    from redun.store.filesystem import make_directory, refuse_network

    refuse_network(store)  # before anything is left there that would be in the way of a pointer file
    make_directory(config)
    ignore_in_git(config)
    made = Store.init(store) if object_format is None else Store.init(store, object_format=object_format)
    made.close()
    return store


def ignore_in_git(config: Path) -> None:
    """Sees to it that git leaves out what lies in a `.redun`.

    Raises:
        OSError: if the file that says so cannot be written.
    """
    from redun.store.filesystem import write_whole

    ignore = config / ".gitignore"
    if not ignore.exists():
        write_whole(ignore, "*\n")


def _point(config: Path, home: Path) -> None:
    from redun.store.filesystem import write_whole

    config.parent.mkdir(parents=True, exist_ok=True)
    if config.is_dir():
        # A `.redun` directory that holds nothing but what we put there is in the way of nothing; one with other content
        # is not ours to remove, and says so.
        if os.listdir(config) == [".gitignore"]:
            (config / ".gitignore").unlink()
        config.rmdir()
    try:
        os.fsencode(home).decode()
    except UnicodeDecodeError:
        raise StoreError(f"the path {home} is not UTF-8, so no file can point to it", path=str(home)) from None
    write_whole(config, f"{home}\n")
