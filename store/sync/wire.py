"""Messages between two processes, over any pair of pipes. `FORMAT.md` has the bytes.

A message is one byte that says what it is, four bytes of length, and that many bytes of canonical msgpack, or raw bytes
for a part of a large payload. Whatever comes is bounded before it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import IO, Any, Final

from redun.core import limits
from redun.core.codec import pack, unpack_strict
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import MalformedObject, RemoteError
from redun.core.frame import is_kind
from redun.store.gc.shallow import Missing
from redun.store.sync.peers import Boundary, Item, Large, Sent

#: Versions of the protocol that this program speaks, best first.
VERSIONS: Final = (1,)
#: What stands before everything, so that a shell's greeting is not taken for a message.
MAGIC: Final = b"\x89redun sync\r\n\x1a\n"

HELLO, REFS, MISSING, TAKE, GIVE, LOOKUP, ANSWER = b"H", b"R", b"M", b"T", b"G", b"K", b"A"
BATCH, LARGE, PART, END, ERROR, QUIT = b"B", b"L", b"P", b"E", b"X", b"Q"
_head: Final = Struct(">cI")
#: A message has at most so many bytes; a batch of objects is kept far below.
_MOST: Final = 64 * limits.MIB
_PART_BYTES: Final = limits.MIB
_NOISE_BYTES: Final = 64 * limits.KIB


class Connection:
    """Sends and receives messages.

    Args:
        reader, writer: the two pipes.
        name: what errors call the other side.
    """

    def __init__(self, reader: IO[bytes], writer: IO[bytes], name: str) -> None:
        self._reader = reader
        self._writer = writer
        self.name = name
        self.round_trips = 0

    # -- messages -----------------------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Sends what stands before everything."""
        self._writer.write(MAGIC)
        self._writer.flush()

    def greeted(self) -> bytes:
        """Reads until what stands before everything; returns what came before that, such as a shell's greeting.

        Raises:
            RemoteError: if it does not come.
        """
        noise = b""
        while not noise.endswith(MAGIC):
            data = self._reader.read(1)
            if not data or len(noise) > _NOISE_BYTES:
                said = noise[:400].decode("utf-8", "backslashreplace").strip()
                raise RemoteError(
                    f"{self.name} does not speak redun's protocol" + (f"; it says {said!r}" if said else ""),
                    hint="is redun-core installed there, and on the path of commands that ssh runs?",
                )
            noise += data
        return noise[: -len(MAGIC)]

    def send(self, kind: bytes, content: Any = None) -> None:
        """Sends a message.

        Raises:
            RemoteError: if nobody takes it any more.
        """
        self._write(kind, pack(content))

    def _write(self, kind: bytes, data: bytes | memoryview) -> None:
        try:
            self._writer.write(_head.pack(kind, len(data)))
            self._writer.write(data)
        except (OSError, ValueError) as error:
            raise self._refusal() from error

    def flush(self) -> None:
        """Sees to it that what was sent goes."""
        try:
            self._writer.flush()
        except (OSError, ValueError) as error:
            raise self._refusal() from error

    def _refusal(self) -> RemoteError:
        """Returns why nobody takes what is sent: the other side may have said so before it ended."""
        try:
            while True:
                kind, size = _head.unpack(self._exactly(_head.size))
                data = self._exactly(min(size, _MOST))
                if kind == ERROR:
                    message, hint = self.parsed(data)
                    return RemoteError(f"{self.name}: {message}", remote=self.name, hint=str(hint))
        except (RemoteError, TypeError, ValueError):
            return self._lost()

    def receive(self) -> tuple[bytes, bytes]:
        """Returns the kind and the bytes of the next message.

        Raises:
            RemoteError: if the connection breaks, the message is too large, or it is an error of the other side.
        """
        self.flush()
        kind, size = _head.unpack(self._exactly(_head.size))
        if size > _MOST:
            raise RemoteError(f"{self.name} sends a message of {size:,} bytes", remote=self.name)
        data = self._exactly(size)
        if kind == ERROR:
            message, hint = self.parsed(data)
            raise RemoteError(f"{self.name}: {message}", remote=self.name, hint=str(hint))
        return kind, data

    def expect(self, kind: bytes) -> Any:
        """Returns the content of the next message, which is of that kind.

        Raises:
            RemoteError: as `receive`, or if it is of another kind.
        """
        got, data = self.receive()
        if got != kind:
            raise RemoteError(f"{self.name} sends {got!r} where {kind!r} was to come", remote=self.name)
        return self.parsed(data)

    def ask(self, kind: bytes, content: Any = None) -> Any:
        """Sends a message and returns the content of its answer."""
        self.send(kind, content)
        self.round_trips += 1
        return self.expect(ANSWER)

    def parsed(self, data: bytes) -> Any:
        """Returns the content of a message's bytes.

        Raises:
            RemoteError: if they are not canonical msgpack.
        """
        try:
            return unpack_strict(data)
        except MalformedObject as error:
            raise RemoteError(f"{self.name} sends what cannot be read: {error.message}", remote=self.name) from None

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                more = self._reader.read(size - len(data))
            except (OSError, ValueError) as error:
                raise self._lost() from error
            if not more:
                raise self._lost()
            data = data + more if data else more
        return data

    def _lost(self) -> RemoteError:
        return RemoteError(
            f"the connection to {self.name} broke off",
            remote=self.name,
            hint="what has arrived is kept: do it again, and only the rest moves",
        )

    # -- objects ------------------------------------------------------------------------------------------------------

    def send_items(self, batches: Iterable[Sequence[Item]]) -> None:
        """Sends objects, and at the end the SHA-256 of all that was sent."""
        hasher = hashlib.sha256()
        for batch in batches:
            small: list[Any] = []
            for item in batch:
                if isinstance(item, Large):
                    self._flush_small(small, hasher)
                    small = []
                    self._send_large(item, hasher)
                elif isinstance(item, Sent):
                    small.append([item.digest, item.kind, item.payload])
                else:
                    small.append([item.execution, int(item.missing)])
            self._flush_small(small, hasher)
        self.send(END, hasher.digest())
        self.flush()

    def _flush_small(self, small: list[Any], hasher: Any) -> None:
        if small:
            data = pack(small)
            hasher.update(data)
            self._write(BATCH, data)

    def _send_large(self, item: Large, hasher: Any) -> None:
        head = pack([item.digest, item.kind, item.size])
        hasher.update(head)
        self._write(LARGE, head)
        for part in item.parts:
            for start in range(0, len(part), _PART_BYTES):
                piece = part[start : start + _PART_BYTES]
                hasher.update(piece)
                self._write(PART, piece)

    def items(self, fmt: ObjectFormat, first: tuple[bytes, bytes] | None = None) -> Iterator[Sequence[Item]]:
        """Returns the batches that the other side sends, to their end.

        Raises:
            RemoteError: if they are not what they are to be, or not what was sent.
        """
        hasher = hashlib.sha256()
        while True:
            kind, data = first or self.receive()
            first = None
            if kind == BATCH:
                hasher.update(data)
                yield [self._item(found, fmt) for found in self._list(data)]
            elif kind == LARGE:
                hasher.update(data)
                large = self._large(self._list(data), fmt, hasher)
                yield [large]
            elif kind == END:
                if self.parsed(data) != hasher.digest():
                    raise RemoteError(f"the bytes from {self.name} are not those that were sent", remote=self.name)
                return
            else:
                raise RemoteError(f"{self.name} sends {kind!r} among objects", remote=self.name)

    def _list(self, data: bytes) -> list[Any]:
        found = self.parsed(data)
        if not isinstance(found, list):
            raise self._odd()
        return found

    def _odd(self) -> RemoteError:
        return RemoteError(f"{self.name} sends what is no object", remote=self.name)

    def _item(self, found: Any, fmt: ObjectFormat) -> Item:
        if not isinstance(found, list) or not found or not isinstance(found[0], bytes) or len(found[0]) != fmt.size:
            raise self._odd()
        if len(found) == 2 and found[1] in (1, 2, 3):
            return Boundary(Digest(found[0]), Missing(found[1]))
        if len(found) != 3 or not isinstance(found[1], str) or not is_kind(found[1]) or not isinstance(found[2], bytes):
            raise self._odd()
        return Sent(Digest(found[0]), found[1], found[2])

    def _large(self, head: list[Any], fmt: ObjectFormat, hasher: Any) -> Large:
        fits = (
            len(head) == 3
            and isinstance(head[0], bytes)
            and len(head[0]) == fmt.size
            and isinstance(head[1], str)
            and is_kind(head[1])
            and type(head[2]) is int
            and head[2] > 0
        )
        if not fits:
            raise self._odd()
        return Large(Digest(head[0]), head[1], head[2], self._parts(head[2], hasher))

    def _parts(self, size: int, hasher: Any) -> Iterator[bytes]:
        while size > 0:
            kind, data = self.receive()
            if kind != PART or not 0 < len(data) <= min(size, _PART_BYTES):
                raise self._odd()
            hasher.update(data)
            size -= len(data)
            yield data
