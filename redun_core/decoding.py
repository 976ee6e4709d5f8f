"""From canonical bytes to Python values.

Decoding instantiates classes that the running workflow has imported, and what registered adapters make; it imports no
module that the bytes name. Whatever only *shows* values (`log`, `cat-object`) uses `display`, which makes no instance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgpack

from redun.core import codes, limits
from redun.core.codec import POINTER_CODE
from redun.core.digest import Digest
from redun.core.errors import CannotDecode, MalformedObject, RedunError
from redun.core.objects import TreeRecord
from redun.core.values import External

Fetch = Callable[[Digest], tuple[str, Any]]
Reader = Callable[["Decoder", Any], Any]

#: How to read the items of a structured extension, by code.
READERS: dict[int, Reader] = {}
#: Readers that are given the items with pointers as ids, because these lead to objects that are no values.
POINTER_READERS: dict[int, Reader] = {}

#: Levels decoded on the C stack, where each takes msgpack 40 kB; what lies deeper is decoded on the heap.
_STACKED: Final = 16

_SEGMENTED: Final[dict[str, Callable[[Iterator[Any]], Any]]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}


class Decoder:
    """Decodes values; parts that lie in objects of their own are fetched.

    Attributes:
        fetch: gives (kind, payload) of an object.
        externals: values met that stand for something outside.
        code: classes, functions and tasks met.
        veiled: whether arguments that are not to be told stay so: the value is to be shown or encoded again, and no
            body gets it.
        renews: whether values that stand for something outside are made to stand for it as it is now.
    """

    veiled = False
    renews = False

    def __init__(self, fetch: Fetch, node: Callable[[int], Any] | None = None) -> None:
        self.fetch = fetch
        self._node = node
        self.externals: list[External] = []
        self.code: list[Any] = []
        self._depth = 0

    def decode(self, payload: bytes | memoryview) -> Any:
        """Returns the value of canonical bytes.

        Raises:
            CannotDecode: if a class or adapter in it is not available here.
            MalformedObject: if the bytes are not a value.
        """
        self._depth += 1
        try:
            if self._depth > _STACKED:
                return self._unpack_deep(payload)
            return msgpack.unpackb(payload, ext_hook=self._ext, strict_map_key=False)
        except RedunError:
            raise
        except RecursionError:
            raise MalformedObject("a value is nested too deep") from None
        except (ValueError, TypeError, LookupError, AttributeError, msgpack.UnpackException) as error:
            raise MalformedObject(f"payload is not a value: {error}") from None
        finally:
            self._depth -= 1

    def _unpack_deep(self, payload: bytes | memoryview) -> Any:
        if self._depth > 2 * limits.VALUE_DEPTH:  # twice: an instance takes two levels, itself and its state
            raise MalformedObject("a value is nested too deep")
        unpacker = msgpack.Unpacker(ext_hook=self._ext, strict_map_key=False, max_buffer_size=max(len(payload), 1))
        unpacker.feed(payload)
        value = unpacker.unpack()
        if unpacker.tell() != len(payload):
            raise MalformedObject("bytes after a value")
        return value

    def _ext(self, code: int, data: bytes) -> Any:
        if code == codes.TUPLE:
            return tuple(self.decode(data))
        if code == codes.NODE and self._node is not None:
            return self._node(int.from_bytes(data, "big"))
        if code == POINTER_CODE:
            return self.decode(self._read("value", Digest(data)))
        if code == codes.SET:
            return set(self.decode(data))
        if code == codes.FROZENSET:
            return frozenset(self.decode(data))
        if code == codes.BIGINT:
            return int.from_bytes(data, "big", signed=True)
        if code == codes.BYTEARRAY:
            return bytearray(data)
        if code == codes.SURROGATES:
            return data.decode("utf-8", "surrogatepass")
        return self._structured(code, data)

    def _structured(self, code: int, data: bytes) -> Any:
        if code == codes.LARGE:
            name, digest, _size = _raw(data)
            return self.leaf(name, digest)
        if code == codes.SEGMENTED:
            name, digest, _count = _raw(data)
            items = self._segments(digest)
            if name == "dict":
                return dict(zip(items, items, strict=True))
            return _SEGMENTED[name](items)
        if code in POINTER_READERS:
            return POINTER_READERS[code](self, _raw(data))
        reader = READERS.get(code)
        if reader is None:
            raise CannotDecode(f"a value has extension {code}, which this program does not know", hint="upgrade redun")
        return reader(self, self.decode(data))

    def leaf(self, name: str, digest: Digest) -> Any:
        """Returns the bytes of a blob as `str`, `bytes`, `bytearray`, or `view` (a memoryview, not copied)."""
        data = self._read("blob", digest)
        if name == "str":
            return str(data, "utf-8", "surrogatepass")
        if name == "bytes":
            return bytes(data)
        if name == "bytearray":
            return bytearray(data)
        return memoryview(data)

    def _read(self, kind: str, digest: Digest) -> Any:
        found, payload = self.fetch(digest)
        if found != kind:
            raise MalformedObject(f"a value points to a {found} where it wants a {kind}")
        return payload

    def _segments(self, root: Digest) -> Iterator[Any]:
        tree = TreeRecord.parse(self._read("tree", root))
        for child in tree.children:
            if tree.level:
                yield from self._segments(child)
            else:
                yield from self.decode(self._read("value", child))


def _raw(data: bytes) -> Any:
    return msgpack.unpackb(data, ext_hook=lambda code, body: Digest(body))
