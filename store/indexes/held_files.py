"""The files that a value holds, read from its bytes without making objects of them."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from redun.core import codes
from redun.core.codec import FIRST_OPAQUE_CODE, ExtType, unpack
from redun.core.digest import Digest
from redun.core.errors import MalformedObject
from redun.core.files.globs import split_pattern
from redun.core.files.kept import blob_of, parts_of

#: How a file begins: three items, or four where its bytes are in the store; and a set of files.
_FILE_MARKS: Final = tuple(bytes((codes.FILE, 0x90 + items)) for items in (3, 4))
_SET_MARKS: Final = tuple(bytes((codes.FILESET, 0x90 + items)) for items in (6, 7))
_MARKS: Final = (*_FILE_MARKS, *_SET_MARKS)
_EXTENSIONS: Final = re.compile(
    b"(?:[\xd4-\xd8]|\xc7.|\xc8..|\xc9....)(?:%b)" % b"|".join(map(re.escape, _MARKS)), re.DOTALL
)


#: The classes of sets that are all there is below a directory.
DIRECTORIES: Final = frozenset({"Dir", "ContentDir", "IDir"})
#: Those that compare nothing but paths.
_BY_PATH: Final = frozenset({"IFile", "IFileSet", "IDir"})


class HeldFile(NamedTuple):
    """A file that a value holds.

    Attributes:
        path: as it is stored.
        state: what the file is compared by; None where it was missing.
        kind: the class of the value.
        archive: the blob with its bytes, where these were kept.
        executable: whether it could be executed then.
    """

    path: str
    state: bytes | None
    kind: str
    archive: Digest | None = None
    executable: bool = False


class HeldSet(NamedTuple):
    """A set of files that a value holds.

    Attributes:
        kind: the class of the value.
        base: the directory that all members lie below; `.` is the working directory.
        members: state by path from there, or pointers to values with parts of that, in the order of paths.
        archives: values with what is said of the bytes of the members, part by part; empty where they were not kept.
    """

    kind: str
    base: str
    members: dict[Any, Any] | list[Any]
    archives: tuple[Digest, ...] = ()

    def files(self, read: Callable[[Digest], bytes | None]) -> Iterator["HeldFile"]:
        """Yields the members as files.

        Args:
            read: gives the payload of a value, None where it is missing.
        """
        parts = [self.members] if isinstance(self.members, dict) else [_read(read, part) for part in self.members]
        for number, part in enumerate(parts):
            archives = _read(read, self.archives[number]) if len(self.archives) == len(parts) else None
            if isinstance(part, dict):
                yield from self.listed(part, archives)

    def listed(self, part: dict[Any, Any], archives: Any) -> Iterator["HeldFile"]:
        """Yields the members in one part as files; `archives` is what is said of their bytes, in their order."""
        kept = archives if isinstance(archives, list) and len(archives) == len(part) else [None] * len(part)
        for (name, state), item in zip(part.items(), kept, strict=True):
            path = text_of(name)
            if path is not None and isinstance(state, bytes):
                yield HeldFile(self.prefix + path, state, self.kind, *blob_of(item))

    @property
    def prefix(self) -> str:
        """What stands before the path of each member."""
        return "" if self.base == "." else self.base.rstrip("/") + "/"


def _read(read: Callable[[Digest], bytes | None], pointer: Any) -> Any:
    payload = read(Digest(bytes(pointer))) if isinstance(pointer, bytes) else None
    try:
        return None if payload is None else unpack(payload)
    except MalformedObject:
        return None


def may_hold_files(payload: bytes) -> bool:
    """Returns whether it is worth looking for files in a value: nearly none has any. Hashes have such bytes by chance,
    as those of 4,000 members of a set do, and hardly ever behind those of an extension."""
    return any(mark in payload for mark in _MARKS) and _EXTENSIONS.search(payload) is not None


def held_files(payload: bytes) -> list[HeldFile]:
    """Returns the files that a value holds, those in sets left out, each once; nothing for bytes that are no value."""
    return list(dict.fromkeys(found for found in held(payload) if isinstance(found, HeldFile)))


def held_sets(payload: bytes) -> list[HeldSet]:
    """Returns the sets of files that a value holds; nothing for bytes that are no value."""
    return [found for found in held(payload) if isinstance(found, HeldSet)]


def held(payload: bytes) -> list[HeldFile | HeldSet]:
    """Returns the files and sets of files that a value holds."""
    if not may_hold_files(payload):
        return []
    try:
        return list(_walk(unpack(payload)))
    except MalformedObject:
        return []


def _walk(item: Any) -> Iterator[HeldFile | HeldSet]:
    stack = [item]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            stack += [*found.keys(), *found.values()]
        elif isinstance(found, ExtType) and found.code < FIRST_OPAQUE_CODE:
            inner = unpack(found.data)
            read = _READERS.get(found.code)
            held = None if read is None or not isinstance(inner, list) else read(inner)
            if held is not None:
                yield held
            else:
                stack.append(inner)
        elif isinstance(found, (list, tuple)) and not isinstance(found, ExtType):
            stack += found


def _file(items: list[Any]) -> HeldFile | None:
    if len(items) not in (3, 4):
        return None
    kind, path, state, *more = items
    text = text_of(path)
    if text is None or not isinstance(kind, str) or not isinstance(state, bytes | None):
        return None
    return HeldFile(text, state, kind, *blob_of(more[0] if more else None))


def _set(items: list[Any]) -> HeldSet | None:
    if len(items) not in (6, 7):
        return None
    kind, pattern, _, _, _, members, *more = items
    text = text_of(pattern)
    if text is None or not isinstance(kind, str) or not isinstance(members, dict | list):
        return None
    base = text if kind.partition("/")[0] in DIRECTORIES else split_pattern(text)[0] or "."
    return HeldSet(kind, base, members, tuple(parts_of(more[0])) if more else ())


_READERS: Final[dict[int, Callable[[list[Any]], HeldFile | HeldSet | None]]] = {codes.FILE: _file, codes.FILESET: _set}


def compared_by(kind: str) -> str:
    """Returns what values of a class, as it is written, are compared by: `content`, `stat` or `path`."""
    name, _, by = kind.partition("/")
    return by or ("path" if name in _BY_PATH else "content")


def text_of(item: Any) -> str | None:
    """Returns a text as it was before it was encoded, None for what is none."""
    if isinstance(item, ExtType) and item.code == codes.SURROGATES:
        return str(item.data, "utf-8", "surrogatepass")
    return item if isinstance(item, str) else None


def fits(path: str, pattern: str) -> bool:
    """Returns whether a path is the pattern, or fits it as `Index.files` says."""
    return path == pattern or fnmatchcase(path, pattern)
