"""How the members of a set of files are written: path -> state, in pieces that stay the same where others change.

A piece ends before a path that is chosen by its own bytes, so that a file that comes, goes or changes rewrites the
piece it is in and no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from redun.core import codes
from redun.core.codec import ExtType, pack
from redun.core.errors import MalformedObject

#: A piece begins at a path whose CRC-32 has these bits zero, and where it would have more bytes than that.
_PIECE_MASK: Final = 0xFFF
_PIECE_BYTES: Final = 512 * 1024
#: Bytes of a member beside its path: headers, and a SHA-256. What is cut by it need not be exact, but the same for all.
_MEMBER_BYTES: Final = 40
#: What no path of a member is: empty, absolute, with parts that are empty or lead elsewhere. Paths are joined by NUL.
_ODD: Final = re.compile(r"(?<![^\0/])\.{0,2}(?![^\0/])")


def packed(members: Mapping[str, bytes]) -> list[bytes]:
    """Returns the pieces, each the canonical bytes of a dict; the members come in order."""
    return [_packed(piece) for piece in pieces(members)]


def digest_of(members: Mapping[str, bytes]) -> bytes:
    """Returns the SHA-256 that a set of files is known by."""
    import hashlib  # it loads OpenSSL, which takes 3 ms of every start

    return hashlib.sha256(_packed(members)).digest()


def check(members: Any) -> dict[str, bytes]:
    """Returns members read from bytes of strangers.

    Raises:
        MalformedObject: if they are not what `packed` is given.
    """
    if type(members) is not dict or set(map(type, members.values())) - {bytes}:
        raise MalformedObject("the members of a set of files are no paths with states")
    paths = list(members)
    if set(map(type, paths)) - {str}:
        raise MalformedObject("the members of a set of files are no paths with states")
    if any(map(str.__ge__, paths, paths[1:])):
        raise MalformedObject("the members of a set of files are not in order")
    joined = "\0".join(paths)
    if paths and (_ODD.search(joined) or joined.count("\0") != len(paths) - 1):
        raise MalformedObject("a member of a set of files has a path that leads elsewhere")
    return members


def pieces(members: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    """Yields the members in the parts in which they are written."""
    from zlib import crc32  # most runs have no sets of files

    piece: dict[str, bytes] = {}
    size = 0
    for path, state in members.items():
        data = path.encode("utf-8", "surrogatepass")
        more = len(data) + _MEMBER_BYTES
        if piece and (not crc32(data) & _PIECE_MASK or size + more > _PIECE_BYTES):
            yield piece
            piece, size = {}, 0
        piece[path] = state
        size += more
    if piece:
        yield piece


def _packed(piece: Mapping[str, bytes]) -> bytes:
    try:
        return pack(piece)
    except UnicodeEncodeError:
        return pack({_key(path): state for path, state in piece.items()})


def _key(path: str) -> Any:
    try:
        path.encode()
    except UnicodeEncodeError:
        return ExtType(codes.SURROGATES, path.encode("utf-8", "surrogatepass"))
    return path
