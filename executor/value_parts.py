"""The parts of one stored item: what a container holds, by place or by name, found from its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from redun.core import codes, limits
from redun.core.codec import ExtType, pack, unpack
from redun.core.digest import Digest
from redun.core.display import Fetch
from redun.core.errors import MalformedObject
from redun.core.objects import TreeRecord
from redun.executor.value_columns import columns_of


class _Absent:
    """Stands for an item that is not there."""


ABSENT: Final = _Absent()

#: Segments that are read of one container, of those that the other does not have.
_SEGMENTS: Final = 64
#: Adapters whose state says less than the value as a whole.
_WHOLE: Final = frozenset({
    "builtins", "datetime", "zoneinfo", "decimal", "fractions", "uuid", "pathlib",
    "numpy", "pandas", "polars", "pyarrow", "torch",
})  # fmt: skip


class Parts(NamedTuple):
    """What an item holds. Two items are compared part by part where their labels are equal.

    Attributes:
        label: the kind of container, with its class where it has one.
        items: its items by place, or None where they have names.
        fields: key -> (step, item): the step is text that follows a path, or a list of the one key of a dict.
    """

    label: str
    items: list[Any] | None
    fields: dict[bytes, tuple[Any, Any]]


def parts_of(item: Any, fetch: Fetch) -> Parts | None:
    """Returns the parts of an item, or None where it has none.

    Raises:
        MalformedObject: if its bytes make no sense.
        NotFound: if it is kept in segments, and one is missing.
    """
    if type(item) is list:
        return Parts("list", item, {})
    if type(item) is dict:
        return Parts("dict", None, keyed(item.items()))
    if type(item) is not ExtType:
        return None
    if item.code == codes.SEGMENTED:
        segments = segments_of(item, fetch)
        items = segments.items(segments.leaves, fetch)
        if segments.name in ("list", "tuple"):
            return Parts(segments.name, items, {})
        return Parts(segments.name, None, segments.keyed(items))
    reader = _READERS.get(item.code)
    return None if reader is None else reader(unpack(item.data))


def keyed(pairs: Iterable[tuple[Any, Any]]) -> dict[bytes, tuple[Any, Any]]:
    """Returns the fields of a dict."""
    return {pack(key): ([key], item) for key, item in pairs}


def members(items: Iterable[Any]) -> dict[bytes, tuple[Any, Any]]:
    """Returns the fields of a set: each member is its own key."""
    return {pack(item): ("", item) for item in items}


def _named(pairs: Iterable[tuple[Any, Any]]) -> dict[bytes, tuple[Any, Any]]:
    return {f".{name}".encode(errors="surrogatepass"): (f".{name}", item) for name, item in pairs}


# -- structured extensions --------------------------------------------------------------------------------------------


def _tuple(items: list[Any]) -> Parts:
    return Parts("tuple", items, {})


def _set(items: list[Any]) -> Parts:
    return Parts("set", None, members(items))


def _frozenset(items: list[Any]) -> Parts:
    return Parts("frozenset", None, members(items))


def _record(items: list[Any]) -> Parts:
    name, names, values = items
    return Parts(f"fields of {name}", None, _named(zip(names, values, strict=True)))


def _instance(items: list[Any]) -> Parts:
    name, given, (state, elements, pairs) = items
    fields: dict[bytes, tuple[Any, Any]] = {}
    for place, item in enumerate(given):
        fields[b"given %d" % place] = ("" if len(given) == 1 else f".__new__[{place}]", item)
    # a state is a dict, or a tuple of the dict and the slots
    both = type(state) is ExtType and state.code == codes.TUPLE
    for part in unpack(state.data) if both else [state]:
        if type(part) is dict:
            fields |= _named(part.items())
        elif part is not None:
            fields[b"state"] = ("", part)
    if elements is not None:
        fields[b"elements"] = ("", elements)
    if pairs is not None:
        fields[b"pairs"] = ("", dict(pairs))
    return Parts(f"instance of {name}", None, fields)


def _error(items: list[Any]) -> Parts:
    name, args, notes, cause, state = items
    fields = _named((("args", args), ("__notes__", notes), ("__cause__", cause)))
    return Parts(f"error {name}", None, fields | _named(state.items()))


def _partial(items: list[Any]) -> Parts:
    name, args, kwargs = items
    return Parts(f"partial of {name}", None, {b"args": ("", args), b"kwargs": ("", kwargs)})


def _adapted(items: list[Any]) -> Parts | None:
    code, state = items
    if code == "collections.defaultdict":
        return Parts(code, None, {b"": ("", state[1]), b"factory": (".default_factory", state[0])})
    if code == "collections.deque":
        return Parts(code, None, {b"": ("", state[0]), b"maxlen": (".maxlen", state[1])})
    columns = columns_of(code, state)
    if columns is not None:
        return Parts(code, None, {pack(step): (step, item) for step, item in columns})
    if code.partition(".")[0] in _WHOLE or type(state) not in (list, dict, ExtType):
        return None
    return Parts(code, None, {b"": ("", state)})


_READERS: Final[dict[int, Callable[[list[Any]], Parts | None]]] = {
    codes.TUPLE: _tuple,
    codes.SET: _set,
    codes.FROZENSET: _frozenset,
    codes.ADAPTED: _adapted,
    codes.DATACLASS: _record,
    codes.NAMEDTUPLE: _record,
    codes.INSTANCE: _instance,
    codes.ERROR: _error,
    codes.PARTIAL: _partial,
}


# -- containers that are kept in segments -----------------------------------------------------------------------------


class Segments(NamedTuple):
    """A long container: the name of its type, the ids of its segments, and how many items they hold (the keys and
    values of a dict count by themselves)."""

    name: str
    leaves: list[Digest]
    length: int

    def items(self, leaves: Iterable[Digest], fetch: Fetch) -> list[Any]:
        """Returns the items of some of its segments.

        Raises:
            NotFound, MalformedObject: if one is missing, or is none.
        """
        return [item for leaf in leaves for item in unpack(_payload(leaf, "value", fetch))]

    def keyed(self, items: list[Any]) -> dict[bytes, tuple[Any, Any]]:
        """Returns items as fields of a dict or a set."""
        if self.name == "dict":
            return keyed(zip(items[::2], items[1::2], strict=True))
        return members(items)

    @property
    def even(self) -> bool:
        """Whether all segments but the last are of one length: none was halved for its size."""
        return len(self.leaves) == -(-self.length // limits.SEGMENT_ITEMS)

    def before(self, number: int, fetch: Fetch) -> int | None:
        """Returns how many items lie before a segment, or None where that takes too much reading."""
        if self.even:
            return number * limits.SEGMENT_ITEMS
        if number > _SEGMENTS:
            return None
        return len(self.items(self.leaves[:number], fetch))


class Unshared(NamedTuple):
    """What two long containers of one type do not share.

    Attributes:
        first: the index of the first such item; None where that is not known.
        old, new: the items of each, as far as they were read.
        cut: whether more differ than were read.
    """

    first: int | None
    old: list[Any]
    new: list[Any]
    cut: bool


def unshared(old: Segments, new: Segments, fetch: Fetch) -> Unshared:
    """Returns what two long containers of one type do not share.

    Raises:
        NotFound, MalformedObject: if a segment is missing, or is none.
    """
    fewest = min(len(old.leaves), len(new.leaves))
    start = end = 0
    while start < fewest and old.leaves[start] == new.leaves[start]:
        start += 1
    while end < fewest - start and old.leaves[-1 - end] == new.leaves[-1 - end]:
        end += 1
    first = new.before(start, fetch)
    if new.name == "dict" and not (old.even and new.even):  # a key and its value may lie in different segments
        start, end, first = 0, 0, 0
    left, right = old.leaves[start : len(old.leaves) - end], new.leaves[start : len(new.leaves) - end]
    earlier, later = old.items(left[:_SEGMENTS], fetch), new.items(right[:_SEGMENTS], fetch)
    if min(len(left), len(right)) > _SEGMENTS:
        # what comes next is not known on either side, so nothing may look put in or taken out
        shortest = min(len(earlier), len(later))
        earlier, later = earlier[:shortest], later[:shortest]
    return Unshared(first, earlier, later, max(len(left), len(right)) > _SEGMENTS)


def comparable_members(old: list[Any], new: list[Any]) -> tuple[list[Any], list[Any]]:
    """Returns those of the first items of two sets that can be compared: sets are kept in the order of their bytes, so
    what lies beyond the end of either may still come in the other."""
    if not old or not new:
        return [], []
    last = min(pack(old[-1]), pack(new[-1]))
    return [item for item in old if pack(item) <= last], [item for item in new if pack(item) <= last]


def segments_of(item: Any, fetch: Fetch) -> Segments:
    """Returns the segments of a long container.

    Raises:
        NotFound, MalformedObject: if its tree is missing, or is none.
    """
    name, root, count = unpack(item.data)
    leaves: list[Digest] = []
    stack = [root.digest]
    while stack:
        tree = TreeRecord.parse(bytes(_payload(stack.pop(), "tree", fetch)))
        if tree.level:
            stack += reversed(tree.children)
        else:
            leaves += tree.children
    return Segments(name, leaves, 2 * count if name == "dict" else count)


def _payload(digest: Digest, kind: str, fetch: Fetch) -> bytes:
    found, payload = fetch(digest)
    if found != kind:
        raise MalformedObject(f"a {found} where a {kind} belongs")
    return payload
