"""From Python values to canonical bytes.

One pass of msgpack's packer in C does nearly all of it. What the packer does not know (tuples, sets, classes,
expressions) it hands to a hook, which looks the type up in `HANDLERS`; other modules add their types there
(`expressions`, `tasks`, `files`, the adapters).

Three things happen only when a value is large: a leaf above `LEAF_BYTES` becomes a blob, a child above `CHILD_BYTES`
an object of its own, a container above `CONTAINER_BYTES` a tree of segments.
"""

from __future__ import annotations

import copyreg
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import CoroutineType, ModuleType, NoneType
from typing import Any, Final, Protocol

import msgpack

from redun.core import codes, limits
from redun.core.codec import ExtType, Pointer, pointer_bytes
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import (
    UNWRITABLE,
    CannotEncode,
    CodecError,
    ConfigError,
    DigestCollision,
    RemoteFileError,
    ValueTooDeep,
)
from redun.core.frame import object_id, stream_id
from redun.core.objects import TreeRecord


class External(Protocol):
    """A value that stands for something outside: valid while the outside is as it was when the value was made."""

    def is_valid(self) -> bool:
        """Returns whether it still is. May do I/O; never raises for a thing that is gone."""
        ...

    def describe(self) -> str:
        """Returns its name for people, such as a path."""
        ...

    def refresh(self) -> None:
        """Makes it stand for the same thing as that is now."""
        ...


class Packer(Protocol):
    """What we use of msgpack's packer, which comes without types."""

    def pack(self, obj: Any, /) -> bytes: ...
    def pack_array_header(self, size: int, /) -> bytes: ...
    def pack_map_header(self, size: int, /) -> bytes: ...


Handler = Callable[["Encoder", Any], Any]
#: Kind and payload of an object.
Item = tuple[str, bytes]
#: What to do with values of exactly that type: returns an `ExtType`.
HANDLERS: dict[type, Handler] = {}
#: Finds the handler of a type that is met for the first time; `classes` puts itself here.
FINDERS: list[Callable[[type], Handler | None]] = []

#: The parts of a value of exactly that type, each with the way to it, where an error inside it is looked for.
PARTS: Final[dict[type, Callable[[Any], Iterable[tuple[str, Any]]]]] = {}

NO_OPTIONS: Final[Mapping[str, Any]] = {}

#: Types whose values cannot change, so that the object itself may be handed from task to task.
PLAIN: Final = frozenset({NoneType, bool, int, float, str, bytes})
_FIXED: Final = frozenset({NoneType, bool, int, float})
#: A payload above this is not kept in memory once it can be fetched by its id.
_KEPT_BYTES: Final = 4096
#: First bytes of msgpack's bin and ext forms: only where one occurs can something have been packed without the hook's
#: knowledge that must not be (a bytearray packs as bytes, a foreign ExtType as itself).
_SUSPECT: Final = re.compile(rb"[\xc4-\xc9\xd4-\xd8]")
_NATIVE: Final = frozenset({list, dict})
#: First bytes of msgpack's ext forms of 8 to 32 bits of length: what stands for a large leaf.
_LARGE_HEADS: Final = frozenset(b"\xc7\xc8\xc9")
_SIZED: Final = frozenset({str, bytes})
#: Writes the headers of containers whose items are packed already; it keeps no state between calls.
_HEADS: Final[Packer] = msgpack.Packer()
_SMUGGLED: Final = frozenset({bytearray, memoryview, ExtType, msgpack.Timestamp})


class Encoded:
    """A value as bytes, with what was met on the way.

    Attributes:
        payload: canonical bytes of the value.
        obj: the value itself where `plain`, else None.
        plain: whether it is a leaf that cannot change.
        digest: id of the `value` object, None until `Encoder.identify` has put it.
        nodes: positions of the expressions inside it, in the order of the table that was being built.
        externals: values inside it that stand for something outside.
        code: classes, functions and tasks that it refers to.
        inspected: whether `externals` and `code` are known; they are not for bytes that came from the store.
    """

    __slots__ = ("code", "digest", "externals", "inspected", "is_list", "nodes", "obj", "payload", "plain")

    def __init__(self, payload: bytes, obj: Any = None, plain: bool = False) -> None:
        self.payload = payload
        self.obj = obj
        self.plain = plain
        self.inspected = plain
        self.digest: Digest | None = None
        self.nodes: tuple[int, ...] = ()
        #: Whether it is a list of these nodes, each once, and of nothing else.
        self.is_list = False
        self.externals: tuple[External, ...] = ()
        self.code: tuple[Any, ...] = ()

    def release(self) -> None:
        """Lets go of bytes that can be fetched by the id, where they are many."""
        if len(self.payload) > _KEPT_BYTES and self.digest is not None:
            self.payload = b""
            self.obj = None
            self.plain = False


class Ready:
    """An extension that an adapter got from its encoder and hands back inside its state."""

    __slots__ = ("ext",)

    def __init__(self, ext: ExtType) -> None:
        self.ext = ext


class Encoder:
    """Encodes values under one object format and gathers the objects they need in `objects`, for the store to write.

    Not thread-safe: one encoder belongs to one thread. The caller empties `objects` when it has written them.
    """

    def __init__(self, fmt: ObjectFormat, objects: dict[Digest, tuple[str, bytes]] | None = None) -> None:
        self.format = fmt
        self.objects: dict[Digest, tuple[str, bytes]] = {} if objects is None else objects
        #: Gives an expression its place in the table being built; None where no expression may occur.
        self.place: Callable[[Any], int] | None = None
        #: Writes a large leaf at once, so that it is neither kept in memory nor changed before it is written.
        self.write_blob: Callable[[Digest, bytes | memoryview], None] | None = None
        #: Makes the error for two different objects of one id, which may keep both for a report.
        self.collision: Callable[[Digest, Item, Item], Exception] = _collision
        #: Gives the key that secrets are hashed with; None where no secret may occur.
        self.secret_key: Callable[[], bytes] | None = None
        #: Key of the call whose body made what is encoded; None between bodies. `returning`: it is what that returned.
        self.caller: bytes | None = None
        self.returning = False
        #: Options of the call whose body that was.
        self.options: Mapping[str, Any] = NO_OPTIONS
        #: Of files whose bytes are among `objects`: how many objects there were then, and bytes.
        self.kept: tuple[int, int] = (0, 0)
        #: Whether a handle was used after it had been encoded as one that was not.
        self.wavered = False
        self.nodes: list[int] = []
        self.externals: list[External] = []
        self.code: list[Any] = []
        self._depth = 0
        self._splits = 0
        #: What objects with large parts became in this encoding, with the objects themselves, so that no other takes
        #: their place: a container around them is packed twice, and so on at every level.
        self._split_before: dict[int, tuple[Any, Any]] = {}
        self._packers: list[Packer] = [self._packer()]

    # -- the public face ----------------------------------------------------------------------------------------------

    def encode(self, obj: Any) -> Encoded:
        """Returns the value's canonical bytes and what is inside it; puts nothing yet but large parts.

        Raises:
            CannotEncode: if something inside has no deterministic encoding; the message says where.
            ValueTooDeep: if it is nested deeper than `limits.VALUE_DEPTH`, or contains itself.
        """
        kind = type(obj)
        if kind in _FIXED:  # straight to the packer: nearly every argument and result is one
            return Encoded(self._packers[0].pack(obj), obj, True)
        if kind in PLAIN:
            payload = self.pack(obj)
            if payload[0] in _LARGE_HEADS and kind in _SIZED and len(obj) > limits.LEAF_BYTES // 4:
                large = Encoded(payload)  # not kept in memory: its blob is read where it is needed
                large.inspected = True
                return large
            return Encoded(payload, obj, True)
        del self.nodes[:], self.externals[:], self.code[:]
        try:
            found = Encoded(self.pack(obj))
        except CodecError as error:
            raise located(error, obj, self) from None
        except UNWRITABLE:
            raise
        except (ConfigError, RemoteFileError) as error:  # not for the value's fault
            raise error.with_traceback(None) from None
        except Exception as error:
            failed = CannotEncode(f"{type(error).__name__} while encoding: {error}")
            raise located(failed, obj, self) from error
        found.inspected = True
        found.nodes = tuple(dict.fromkeys(self.nodes)) if self.nodes else ()
        found.externals = tuple(self.externals)
        found.code = tuple(dict.fromkeys(self.code)) if self.code else ()
        return found

    def identify(self, encoded: Encoded) -> Digest:
        """Returns the id of the value's object, putting it the first time."""
        if encoded.digest is None:
            encoded.digest = self.put("value", encoded.payload)
        return encoded.digest

    def joined(self, items: Sequence[Encoded | None]) -> Encoded | None:
        """Returns what `encode` gives for the list of these values, joined from their bytes; None where that takes more
        than joining."""
        parts = [item.payload for item in items if item is not None and item.plain]
        if len(parts) != len(items):
            return None
        data = _array(parts)
        if len(data) > limits.CHILD_BYTES and (
            len(data) > limits.CONTAINER_BYTES or max(map(len, parts)) > limits.CHILD_BYTES
        ):
            return None
        found = Encoded(data)
        found.inspected = True
        return found

    def value(self, obj: Any) -> Digest:
        """Puts a value and returns its id.

        Raises:
            CannotEncode, ValueTooDeep: as `encode`.
        """
        return self.identify(self.encode(obj))

    def put(self, kind: str, payload: bytes) -> Digest:
        """Adds an object to those to be written and returns its id.

        Raises:
            DigestCollision: if another one among these has that id; the store compares with what it has.
        """
        digest = object_id(self.format, kind, payload)
        item = (kind, payload)
        known = self.objects.setdefault(digest, item)
        if known is not item and known != item:
            raise self.collision(digest, known, item)
        return digest

    def add(self, objects: Mapping[Digest, Item]) -> None:
        """Adds objects that were made elsewhere to those to be written.

        Raises:
            DigestCollision: as `put`.
        """
        for digest in self.objects.keys() & objects.keys():
            if self.objects[digest] != objects[digest]:
                raise self.collision(digest, self.objects[digest], objects[digest])
        self.objects.update(objects)

    # -- for handlers -------------------------------------------------------------------------------------------------

    def archives(self, files: Any) -> bool:
        """Returns whether the bytes of files are to be kept: they are part of what a body returned, which asked for
        it."""
        return self.returning and bool(self.options.get("archive") or getattr(files, "_kept", False))

    def ext(self, code: int, items: list[Any]) -> ExtType:
        """Returns a structured extension holding `items`, which may be any values."""
        self._depth += 1
        if self._depth > limits.VALUE_DEPTH:
            raise ValueTooDeep(f"a value is nested deeper than {limits.VALUE_DEPTH}, or contains itself")
        if self._depth == len(self._packers):
            self._packers.append(self._packer())
        before = len(self.nodes)
        data = self._native(items)
        if len(data) > limits.CHILD_BYTES:
            self._splits += 1
            parts = self._parts(items)
            data = _array(parts)
            if code == codes.TUPLE and len(data) > limits.CONTAINER_BYTES and len(self.nodes) == before:
                self._depth -= 1
                return self._segmented("tuple", parts, len(parts))
        self._depth -= 1
        return ExtType(code, data)

    def sorted_ext(self, code: int, items: Iterable[Any]) -> ExtType:
        """Returns a structured extension of items in the order of their bytes: sets have no order of their own."""
        self._depth += 1
        if self._depth == len(self._packers):
            self._packers.append(self._packer())
        before = len(self.nodes)
        parts = sorted(self._child(item) for item in items)
        self._depth -= 1
        data = _array(parts)
        if len(data) > limits.CONTAINER_BYTES and len(self.nodes) == before:
            return self._segmented("set" if code == codes.SET else "frozenset", parts, len(parts))
        return ExtType(code, data)

    # -- packing ------------------------------------------------------------------------------------------------------

    def pack(self, obj: Any) -> bytes:
        """Returns the canonical bytes of a value, with what is inside added to `nodes`, `externals` and `code`."""
        self._depth = 0
        try:
            return self._pack(obj)
        finally:
            self._split_before.clear()

    def _packer(self) -> Packer:
        packer: Packer = msgpack.Packer(strict_types=True, default=self._hook, buf_size=4096)
        return packer

    def _pack(self, obj: Any) -> bytes:
        kind = type(obj)
        if kind in _SMUGGLED or (kind in _SIZED and len(obj) > limits.LEAF_BYTES // 4):
            return self._leaf(obj)
        if kind in _NATIVE and len(obj) > limits.CHILD_BYTES:  # no item takes less than a byte
            return self._split(obj)
        payload = self._native(obj)
        if len(payload) > limits.CHILD_BYTES and kind in _NATIVE:
            return self._split(obj)
        return payload

    def _native(self, obj: Any) -> bytes:
        packer = self._packers[self._depth]
        try:
            payload = packer.pack(obj)
        except UnicodeEncodeError:
            payload = packer.pack(self._relaxed(obj))
        except ValueError as error:
            if "recursion limit" in str(error):
                raise ValueTooDeep(f"a value is nested deeper than {limits.VALUE_DEPTH}, or contains itself") from None
            raise
        except RecursionError:
            raise ValueTooDeep("a value is nested too deep, or contains itself") from None
        if type(obj) in _NATIVE and _SUSPECT.search(payload) and _smuggles(obj):
            payload = packer.pack(self._relaxed(obj))
        return payload

    def _hook(self, obj: Any) -> Any:
        if id(obj) in self._split_before:
            return self._split_before[id(obj)][1]
        kind = type(obj)
        handler = HANDLERS.get(kind)
        if handler is None:
            handler = find_handler(kind)
        splits, nodes = self._splits, len(self.nodes)
        made = handler(self, obj)
        if self._splits != splits and len(self.nodes) == nodes:
            self._split_before[id(obj)] = (obj, made)
        return made

    def _relaxed(self, obj: Any) -> Any:
        """The same value, with what msgpack would mistake in native containers put in its own extension."""
        kind = type(obj)
        if kind is list:
            return [self._relaxed(item) for item in obj]
        if kind is dict:
            return {self._relaxed_key(key): self._relaxed(value) for key, value in obj.items()}
        if kind is str:
            try:
                obj.encode()
            except UnicodeEncodeError:
                return ExtType(codes.SURROGATES, obj.encode("utf-8", "surrogatepass"))
        elif kind is bytearray:
            return ExtType(codes.BYTEARRAY, bytes(obj))
        elif kind in _SMUGGLED:
            raise CannotEncode(f"a {kind.__name__} has no deterministic encoding", hint="return bytes instead")
        return obj

    def _relaxed_key(self, key: Any) -> Any:
        return self._relaxed(key) if type(key) is str else key

    # -- large values -------------------------------------------------------------------------------------------------

    def _leaf(self, obj: str | bytes | bytearray) -> bytes:
        leaf = self._relaxed(obj)
        data = obj.encode("utf-8", "surrogatepass") if isinstance(obj, str) else obj
        if len(data) > limits.LEAF_BYTES:
            leaf = self.large(type(obj).__name__, data).ext
        return self._packers[self._depth].pack(leaf)

    def large(self, name: str, data: bytes | bytearray | memoryview) -> Ready:
        """Puts the bytes of a leaf as a blob and returns what stands for it in its value."""
        size = len(data) if isinstance(data, (bytes, bytearray)) else data.nbytes
        digest = stream_id(self.format, "blob", size, [data])
        if self.write_blob is None or size <= limits.LEAF_BYTES:  # small ones are written with the objects around them
            self.add({digest: ("blob", bytes(data))})
        else:
            self.write_blob(digest, data if isinstance(data, bytes) else memoryview(data))
        return Ready(self.ext(codes.LARGE, [name, Pointer(digest), size]))

    def _child(self, obj: Any) -> bytes:
        before = len(self.nodes)
        payload = self._pack(obj)
        # what holds expressions stays inside its `expr`: a value never refers to nodes
        if len(payload) > limits.CHILD_BYTES and len(self.nodes) == before:
            return pointer_bytes(self.put("value", payload))
        return payload

    def child(self, obj: Any) -> bytes:
        """Returns the bytes of a value inside something else: its own, or a pointer to it where it is large."""
        self._depth = 0
        return self._child(obj)

    def _parts(self, items: list[Any]) -> list[bytes]:
        if _FIXED.issuperset(set(map(type, items))):
            pack = self._packers[self._depth].pack
            return [pack(item) for item in items]
        return [self._child(item) for item in items]

    def _split(self, obj: list[Any] | dict[Any, Any]) -> bytes:
        before = len(self.nodes)
        self._splits += 1
        if isinstance(obj, list):
            name, count, parts = "list", len(obj), self._parts(obj)
            data = _array(parts)
        else:
            name, count, parts = "dict", len(obj), self._parts([part for pair in obj.items() for part in pair])
            data = _HEADS.pack_map_header(count) + b"".join(parts)
        if len(data) > limits.CONTAINER_BYTES and len(self.nodes) == before:
            return self._packers[self._depth].pack(self._segmented(name, parts, count))
        return data

    def _segmented(self, name: str, parts: list[bytes], count: int) -> ExtType:
        leaves = [Pointer(self.put("value", payload)) for payload in _segments(parts)]
        root = self.tree(leaves, len(parts))
        return ExtType(codes.SEGMENTED, msgpack.packb([name, ExtType(64, root), count]))

    def tree(self, digests: Iterable[Digest | Pointer], count: int) -> Digest:
        """Puts the nodes of a tree over those ids and returns its root's id; `count` is what the leaves hold in all."""
        level = 0
        row = [Digest(bytes(d)) for d in digests]
        while True:
            step = limits.TREE_FANOUT
            groups = [tuple(row[i : i + step]) for i in range(0, len(row), step)] or [()]
            row = [self.put("tree", TreeRecord(level, count, group).payload()) for group in groups]
            if len(row) == 1:
                return row[0]
            level += 1


def _collision(digest: Digest, _known: Item, _item: Item) -> DigestCollision:
    told = f"two different objects have the id {digest.hex()}; nothing was written"
    return DigestCollision(told, hint=DigestCollision.WHAT_TO_DO)


def _array(parts: list[bytes]) -> bytes:
    return b"".join([_HEADS.pack_array_header(len(parts)), *parts])


def _segments(parts: list[bytes]) -> Iterator[bytes]:
    for start in range(0, len(parts), limits.SEGMENT_ITEMS):
        stack = [parts[start : start + limits.SEGMENT_ITEMS]]
        while stack:
            group = stack.pop()
            data = _array(group)
            if len(data) <= limits.CONTAINER_BYTES:
                yield data
            else:
                middle = len(group) // 2
                stack += [group[middle:], group[:middle]]


def _smuggles(obj: Any) -> bool:
    """Whether native containers inside `obj` hold what the packer packs without asking the hook."""
    stack = [obj]
    while stack:
        item = stack.pop()
        members = item if type(item) is list else [*item, *item.values()]
        kinds = set(map(type, members))
        if kinds & _SMUGGLED:
            return True
        if kinds & _NATIVE:
            stack.extend(member for member in members if type(member) in _NATIVE)
    return False


def find_handler(kind: type) -> Handler:
    """Returns the handler of a type, found among the finders and remembered.

    Raises:
        CannotEncode: if values of the type have no deterministic encoding.
    """
    for finder in FINDERS:
        handler = finder(kind)
        if handler is not None:
            HANDLERS[kind] = handler
            return handler
    hint = _HINTS.get(kind.__name__) or _HOW_TO_ADAPT.format(kind.__name__)
    raise CannotEncode(
        f"a value of type {kind.__module__}.{kind.__qualname__} has no deterministic encoding", hint=hint
    )


_HOW_TO_ADAPT: Final = """return plain data, or say once, where {0} is imported, how it is stored:
    from redun.value import register_adapter
    register_adapter({0}, "yourtool.{0}", encode=lambda it: [it.a, it.b], decode=lambda state: {0}(*state))"""


#: What to do with types of Python's own that are met by mistake rather than on purpose.
_HINTS: Final = {
    "generator": "a generator can be read once only: return list(...) of it",
    "list_iterator": "an iterator can be read once only: return list(...) of it",
    "map": "an iterator can be read once only: return list(...) of it",
    "filter": "an iterator can be read once only: return list(...) of it",
    "zip": "an iterator can be read once only: return list(...) of it",
    "dict_keys": "return list(...) of it",
    "dict_values": "return list(...) of it",
    "dict_items": "return list(...) of it",
    "memoryview": "return bytes(...) of it",
    "Random": "give the seed, and make the generator in the task",
    "Generator": "give the seed, and make the generator in the task",
    "RandomState": "give the seed, and make the generator in the task",
    "BytesIO": "return its getvalue()",
    "StringIO": "return its getvalue()",
    "object": "an object() is itself and nothing else: use an Enum, or None",
    "async_generator": "collect its items in a list and return that",
    "TextIOWrapper": "return what was read, or a redun.File of the path",
    "BufferedReader": "return what was read, or a redun.File of the path",
    "BufferedWriter": "return a redun.File of the path",
    "lock": "make the lock where it is used",
    "module": "return what is needed of it",
}


# -- where inside a value an error is ---------------------------------------------------------------------------------


def located(error: CodecError, obj: Any, encoder: Encoder, *, name: str = "value") -> CodecError:
    """Returns the error with the path of the first thing inside `obj` that cannot be encoded."""
    if not isinstance(error, CannotEncode) or error.path:
        return error
    path = _culprit(obj, name, encoder, 0)
    return CannotEncode(f"{path}: {error.message}", path=path, hint=error.hint)


def _culprit(obj: Any, path: str, encoder: Encoder, depth: int) -> str:
    for step, child in _members(obj) if depth < 50 else ():
        try:
            encoder.pack(child)
        except Exception:  # noqa: BLE001  whatever the object's own code raises, this is the way to it
            return _culprit(child, path + step, encoder, depth + 1)
    return path


def _members(obj: Any) -> Iterator[tuple[str, Any]]:
    if type(obj) in PARTS:
        yield from PARTS[type(obj)](obj)
    elif isinstance(obj, dict):
        for key, value in obj.items():
            yield f".keys()[{key!r:.40}]", key
            yield f"[{key!r:.40}]", value
    elif isinstance(obj, (list, tuple)):
        yield from ((f"[{i}]", item) for i, item in enumerate(obj))
    elif isinstance(obj, (set, frozenset)):
        yield from ((f"{{{item!r:.40}}}", item) for item in obj)
    elif not isinstance(obj, (type, ModuleType)) and not type(obj).__module__.startswith("redun."):
        # (ours hold no parts of a value, and what is in a module is no part of it)
        names = [*getattr(obj, "__dict__", ()), *copyreg._slotnames(type(obj))]  # type: ignore[attr-defined]  # pickle's own
        yield from ((f".{name}", getattr(obj, name)) for name in names if hasattr(obj, name))


# -- the types of Python itself ---------------------------------------------------------------------------------------


def _bigint(encoder: Encoder, number: int) -> ExtType:
    size = (number + (number < 0)).bit_length() // 8 + 1
    return ExtType(codes.BIGINT, number.to_bytes(size, "big", signed=True))


def _coroutine(encoder: Encoder, obj: Any) -> ExtType:
    obj.close()  # or Python would warn that nobody awaited it, on top of our error
    raise CannotEncode(
        "a coroutine has no deterministic encoding",
        hint="an `async def` function is awaited, or is a task itself; elsewhere call asyncio.run(...) in the body",
    )


HANDLERS[int] = _bigint
HANDLERS[CoroutineType] = _coroutine
HANDLERS[tuple] = lambda encoder, items: encoder.ext(codes.TUPLE, list(items))
HANDLERS[set] = lambda encoder, items: encoder.sorted_ext(codes.SET, items)
HANDLERS[frozenset] = lambda encoder, items: encoder.sorted_ext(codes.FROZENSET, items)
HANDLERS[str] = lambda encoder, text: ExtType(codes.SURROGATES, text.encode("utf-8", "surrogatepass"))
HANDLERS[Ready] = lambda encoder, ready: ready.ext
HANDLERS[Pointer] = lambda encoder, pointer: ExtType(64, bytes(pointer))
