"""The table of objects: id -> envelope. An envelope says how the payload is kept; the id never depends on it.

envelope = codec (1 byte)  kind (1 byte, and its name where it is not one of the format's own)  rest
codec 0: the rest is the payload
codec 1: the rest is the payload's size (4 bytes, big-endian) and a zstd frame of it
codec 2: the payload lies in `blobs/`, the rest is its size (8 bytes, big-endian)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from operator import itemgetter
from typing import Final, cast

from redun.core import limits
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import DigestCollision, NotFound, StoreDamaged, StoreError
from redun.core.frame import KIND_BYTES, KIND_CODES, KINDS, check_kind, header, is_kind, object_id
from redun.store import compression
from redun.store.blobs import BlobArea, Staged
from redun.store.ports import Backend, ReadTransaction, WriteTransaction

RAW: Final = 0
ZSTD: Final = 1
IN_FILE: Final = 2

#: In the byte of the kind: the lower bits are the length of the kind's name, which follows.
_NAMED: Final = 0x80
#: An envelope's codec and kind take at most so many bytes.
HEAD_BYTES: Final = 2 + KIND_BYTES


class _Heads(dict[str, bytes]):
    """How envelopes of a codec start, by kind."""

    def __init__(self, codec: int) -> None:
        super().__init__({kind: bytes((codec, code)) for kind, code in KIND_CODES.items()})
        self._codec = codec

    def __missing__(self, kind: str) -> bytes:
        check_kind(kind)
        return bytes((self._codec, _NAMED | len(kind))) + kind.encode()


_RAW_HEADS: Final = _Heads(RAW)
_RAW_KINDS: Final = {head: kind for kind, head in _RAW_HEADS.items()}
_ZSTD_HEADS: Final = _Heads(ZSTD)
_FILE_HEADS: Final = _Heads(IN_FILE)
SIZE_BYTES: Final = 8
_first: Final = itemgetter(0)

Rows = list[tuple[bytes, bytes]]


def file_row(kind: str, size: int) -> bytes:
    """Returns the envelope of an object whose payload of that many bytes lies in a file."""
    return _FILE_HEADS[kind] + size.to_bytes(SIZE_BYTES, "big")


class Collided(Exception):
    """Leaves a transaction (so that it is undone) with the id and both payloads of a collision."""

    def __init__(self, digest: bytes, stored: tuple[str, bytes], offered: tuple[str, bytes]) -> None:
        super().__init__()
        self.digest, self.stored, self.offered = digest, stored, offered


class Objects:
    """Puts, compares, checks and reads objects.

    Attributes:
        compresses: whether what is worth it is compressed when it is put. What is there is read either way.
    """

    def __init__(self, fmt: ObjectFormat, blobs: BlobArea) -> None:
        self.compresses = False
        self._format = fmt
        self._blobs = blobs
        self._checked_files: set[bytes] = set()

    # -- writing --

    def prepare(self, objects: Mapping[Digest, tuple[str, bytes]], blobs: Mapping[Digest, int] | None = None) -> Rows:
        """Returns the rows of objects in the order of their ids; files of large ones are written and synced by now.

        Args:
            blobs: id -> size of blobs whose files `write_file` has written.

        Raises:
            DigestCollision: if the file of one holds other bytes with its id.
            StoreFull: if a file finds no room.
        """
        heads = _RAW_HEADS
        most = limits.COMPRESSED_BYTES - 1 if self.compresses else limits.INLINE_BYTES
        rows: Rows = [
            (digest, heads[kind] + payload if len(payload) <= most else self._large(digest, kind, payload))
            for digest, (kind, payload) in objects.items()
        ]
        if blobs:
            rows += [(digest, file_row("blob", size)) for digest, size in blobs.items()]
        rows.sort(key=_first)
        self._blobs.settle()
        return rows

    def _large(self, digest: bytes, kind: str, payload: bytes) -> bytes:
        if len(payload) > limits.INLINE_BYTES:
            self.write_file(digest, kind, payload)
            return file_row(kind, len(payload))
        packed = compression.packed(kind, payload)
        return _RAW_HEADS[kind] + payload if packed is None else _ZSTD_HEADS[kind] + packed

    def write_file(self, digest: bytes, kind: str, payload: bytes | memoryview) -> None:
        """Writes the file of a payload, unless it is there; the row that makes it an object comes later.

        Raises:
            DigestCollision: if the file holds other bytes with that id.
            StoreFull: if there is no room.
        """
        there = self._is_there(digest, kind, payload)
        if there:
            return
        staged = self._blobs.stage()
        try:
            staged.write(payload)
            self._keep(staged, digest, kind, payload, damaged=there is not None)
        finally:
            staged.discard()
        self._checked_files.add(digest)

    def written(self, digest: bytes) -> memoryview | None:
        """Returns the file of an id, which may have no row yet; None where there is none."""
        return self._blobs.open(digest)

    def put_stream(self, kind: str, parts: Iterable[bytes | memoryview], size: int) -> tuple[Digest, Rows]:
        """Returns the id and the row of an object whose payload arrives in parts and goes to a file of its own.

        Raises:
            ValueError: if the parts do not add up to `size` bytes.
            DigestCollision, StoreFull: as `prepare`.
        """
        hasher = self._format.new()
        hasher.update(header(kind, size))
        staged, got = self._blobs.stage(), 0
        try:
            for part in parts:
                hasher.update(part)
                staged.write(part)
                got += memoryview(part).nbytes
            if got != size:
                raise ValueError(f"{got} bytes arrived where {size} were announced")
            digest = Digest(hasher.digest())
            there = self._is_there(digest, kind, staged.view())
            if not there:
                self._keep(staged, digest, kind, staged.view(), damaged=there is not None)
        finally:
            staged.discard()
        self._blobs.settle()
        return digest, [(digest, file_row(kind, size))]

    def _keep(self, staged: Staged, digest: bytes, kind: str, offered: bytes | memoryview, *, damaged: bool) -> None:
        """Gives a file its place, which another writer may have taken since it was looked at."""
        while not staged.keep(digest, replace=damaged):
            there = self._is_there(digest, kind, offered)
            if there:
                return
            damaged = there is not None

    def _is_there(self, digest: bytes, kind: str, offered: bytes | memoryview) -> bool | None:
        """Returns whether the file of an id holds these bytes; False if it is damaged, None if there is none.

        Raises:
            DigestCollision: if it holds others that fit the id as well.
        """
        stored = self._blobs.open(digest)
        if stored is None:
            return None
        if same_bytes(stored, offered):
            self._blobs.confirm(digest)
            return True
        if self._fits(digest, kind, stored):
            raise self.settle(Collided(digest, (kind, bytes(stored)), (kind, bytes(offered))))
        return False

    def add(self, txn: WriteTransaction, rows: Rows) -> None:
        """Adds the rows of new objects, and compares those that exist.

        A stored object that is damaged is replaced by the good bytes. Other bytes with the same id leave the
        transaction with an exception that `settle` turns into `DigestCollision`.
        """
        if txn.add_many("objects", rows) != len(rows):
            self._compare(txn.get_many("objects", [digest for digest, _ in rows]), dict(rows), txn)

    def compare(self, txn: ReadTransaction, objects: Mapping[Digest, tuple[str, bytes]]) -> None:
        """Compares those of the objects that exist with what is stored, as `add` does, and writes nothing."""
        heads, offered = _RAW_HEADS, cast("Mapping[bytes, tuple[str, bytes]]", objects)
        for digest, env in txn.get_many("objects", sorted(offered)):
            kind, payload = offered[digest]
            if env != heads[kind] + payload:
                self._compare_slowly(digest, env, (kind, payload))

    def _compare(self, found: Rows, offered: Mapping[bytes, bytes], txn: WriteTransaction) -> None:
        for digest, env in found:
            mine = offered[digest]
            if env != mine and not self._compare_slowly(digest, env, self._payload(digest, mine)):
                txn.put("objects", digest, mine)

    def _compare_slowly(self, digest: bytes, env: bytes, offered: tuple[str, bytes | memoryview]) -> bool:
        """Returns whether a stored object, kept in another way than the offered one, is the same; False if damaged."""
        try:
            kind, payload = self._payload(digest, env)
        except StoreDamaged:
            return False
        if kind == offered[0] and same_bytes(payload, offered[1]):
            return True
        if not self._fits(digest, kind, payload):
            return False
        raise Collided(digest, (kind, bytes(payload)), (offered[0], bytes(offered[1])))

    def settle(self, error: Collided) -> DigestCollision:
        """Returns the error for a collision, after keeping both byte strings."""
        stored, offered = (header(kind, len(payload)) + payload for kind, payload in (error.stored, error.offered))
        where, told = "", "they could not be kept"
        with suppress(StoreError):  # a full disk, say; that there is a collision matters more
            where = self._blobs.keep_collision(error.digest, stored, offered)
            told = f"both are kept in {where}"
        return DigestCollision(
            f"two different objects have the id {error.digest.hex()}; nothing was written, {told}",
            path=where,
            hint=DigestCollision.WHAT_TO_DO,
        )

    # -- reading --

    def open(self, digest: bytes, env: bytes) -> tuple[str, bytes | memoryview]:
        """Returns (kind, payload) of an envelope; the payload is a map of its file where it lies in one.

        Every object is checked against its id (the hash costs less than the decoding), a file once a process.

        Raises:
            StoreDamaged: if the bytes do not fit the id, or the file is missing.
            LibraryMissing: if they are compressed, and what reads them is not installed.
        """
        kind = _RAW_KINDS.get(env[:2])
        if kind is None:
            return self._open_slowly(digest, env)
        payload = env[2:]
        if object_id(self._format, kind, payload) != digest:
            raise _damaged(digest, kind)
        return kind, payload

    def open_all(self, rows: Rows) -> dict[bytes, tuple[str, bytes | memoryview]]:
        """Returns id -> what `open` does for each row, and empties the list: memory of one copy serves for the next."""
        opened: dict[bytes, tuple[str, bytes | memoryview]] = {}
        while rows:
            digest, env = rows.pop()
            opened[digest] = self.open(digest, env)
        return opened

    def _open_slowly(self, digest: bytes, env: bytes) -> tuple[str, bytes | memoryview]:
        kind, payload = self._payload(digest, env)
        if digest not in self._checked_files:
            if not self._fits(digest, kind, payload):
                raise _damaged(digest, kind)
            if env[0] == IN_FILE:
                self._checked_files.add(digest)
        return kind, payload

    def _payload(self, digest: bytes, env: bytes) -> tuple[str, bytes | memoryview]:
        kind = _kind(env)
        if not kind or env[0] not in (RAW, ZSTD, IN_FILE):
            raise _damaged(digest, "object")
        rest = env[2:] if env[1] < _NAMED else env[2 + len(kind) :]
        if env[0] == RAW:
            return kind, rest
        if env[0] == ZSTD:
            return kind, _unpacked(digest, kind, rest)
        mapped = self._blobs.open(digest)
        if mapped is None or len(mapped) != int.from_bytes(rest, "big"):
            raise StoreDamaged(f"the file of {kind} {digest.hex()} is missing or cut short", hint="redun fsck")
        return kind, mapped

    def _fits(self, digest: bytes, kind: str, payload: bytes | memoryview) -> bool:
        hasher = self._format.new()
        hasher.update(header(kind, len(payload)))
        hasher.update(payload)
        return hasher.digest() == digest


def same_bytes(left: bytes | memoryview, right: bytes | memoryview) -> bool:
    """Returns whether two payloads are the same, without copying them whole."""
    # `startswith` compares memory with any buffer; `==` of two views goes item by item. One side is copied, in steps.
    if len(left) != len(right):
        return False
    if isinstance(left, bytes):
        return left.startswith(right)  # type: ignore[arg-type]  # a view serves as well
    if isinstance(right, bytes):
        return right.startswith(left)  # type: ignore[arg-type]
    steps = range(0, len(left), limits.MIB)
    return all(bytes(left[i : i + limits.MIB]).startswith(right[i : i + limits.MIB]) for i in steps)  # type: ignore[arg-type]


def raw_row(digest: Digest, kind: str, payload: bytes) -> tuple[bytes, bytes]:
    """Returns the row of an object that is kept in the table, whatever its size."""
    return digest, _RAW_HEADS[kind] + payload


def _unpacked(digest: bytes, kind: str, data: bytes) -> bytes:
    try:
        return compression.unpacked(data)
    except StoreDamaged:
        raise _damaged(digest, kind) from None


def _damaged(digest: bytes, kind: str) -> StoreDamaged:
    return StoreDamaged(f"the bytes of {kind} {digest.hex()} do not fit its id", hint="redun fsck")


def _kind(env: bytes) -> str:
    """The kind that an envelope names, or "" if it names none."""
    if len(env) < 2:
        return ""
    code = env[1]
    if code < len(KINDS):
        return KINDS[code]
    name = env[2 : 2 + (code & ~_NAMED)].decode("ascii", "replace")
    is_other = code >= _NAMED and len(name) == code & ~_NAMED and is_kind(name) and name not in KIND_CODES
    return name if is_other else ""


def kind_of(env: bytes) -> str:
    """Returns the kind that an envelope (or its first `HEAD_BYTES`) names.

    Raises:
        StoreDamaged: if it names none.
    """
    kind = _kind(env)
    if not kind:
        raise StoreDamaged("an envelope that names no kind", hint="redun fsck")
    return kind


def size_of(env: bytes) -> int:
    """Returns the bytes that an object takes: its envelope, and the file where its payload lies in one."""
    return len(env) + (int.from_bytes(env[-SIZE_BYTES:], "big") if env[:1] == bytes((IN_FILE,)) else 0)


def check_ids(digests: Iterable[object]) -> None:
    """Checks that ids are bytes: people have them in hexadecimal, and the engine's own complaint misleads them.

    Raises:
        TypeError: if one is not.
    """
    for digest in digests:
        if not isinstance(digest, bytes):
            told = f"an id is bytes, and {digest!r:.80} is a {type(digest).__name__}"
            raise TypeError(f"{told}: Digest(bytes.fromhex(text)) makes one of its hexadecimal form")


def not_found(digest: bytes, path: str = "") -> NotFound:
    """Returns the error for an id that names nothing.

    Raises:
        TypeError: if it is none.
    """
    check_ids([digest])
    return NotFound(f"no object {digest.hex()} in this store", path=path)


def scan(backend: Backend, kind: str | None) -> Iterator[tuple[Digest, str]]:
    """Returns (id, kind) of the objects of a kind, or of all, in the order of ids; see `Store.objects`."""
    start = b""
    while True:
        page = backend.heads("objects", start, limits.SCAN_KEYS, HEAD_BYTES)
        for digest, head, _ in page:
            found = kind_of(head)
            if kind is None or kind == found:
                yield Digest(digest), found
        if len(page) < limits.SCAN_KEYS:
            return
        start = page[-1][0] + b"\0"
