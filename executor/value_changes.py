"""Where two stored values differ, by path inside them, found from their bytes.

Nothing is instantiated and no user code runs: payloads are walked side by side, as `redun.core.display` walks one. The
work is bounded in items looked at, objects read and changes listed; `Difference.more` says that there is more than is
listed.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeAlias

from redun.core import codes
from redun.core.codec import ExtType, Pointer, pack, unpack
from redun.core.digest import Digest
from redun.core.display import Fetch, show
from redun.core.errors import MalformedObject, RedunError
from redun.core.forms import printable
from redun.executor.member_changes import member_changes
from redun.executor.value_leaves import LeafChange, array_change, text_change
from redun.executor.value_parts import ABSENT, Parts, comparable_members, parts_of, segments_of, unshared
from redun.store.indexes.held_files import held_sets

#: Changes listed, items looked at, objects read.
_CHANGES: Final = 20
_ITEMS: Final = 100_000
_OBJECTS: Final = 256
#: Items of two lists of different lengths that are aligned; longer ones are compared place by place.
_ALIGNED: Final = 400
#: Characters of one side of a change, and of the key of a dict in a path.
_TEXT: Final = 200
#: Members of a set of files that are told.
_MEMBERS: Final = 5
_KEY: Final = 40

_UNFIT: Final = (MalformedObject, TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError)

_Pairs: TypeAlias = list[tuple[str, Any, Any]]
"""What is left to compare: path, earlier item, later item; ABSENT where there is none."""


class ValueChange(NamedTuple):
    """One place where two values differ; all text is safe to print.

    Attributes:
        path: such as `args['cfg']['lr']`; a text that differs from its 13th character on has `[12:]` at the end.
        how: `changed`, `added`, `removed`, `length` (of a list), `content` (of a file: `old` and `new` are hashes of
            its content, None where it was missing), `order` (the same items in another order), `unseen` (in a part that
            is not shown).
        old, new: text; None where there is none.
        file: path of the file where it is one.
    """

    path: str
    how: str
    old: str | None = None
    new: str | None = None
    file: str = ""

    def text(self, limit: int = _TEXT) -> str:
        """Returns it on one line; each of its parts has at most `limit` characters."""
        path = _middle_out(self.path, limit)
        old, new = (None if side is None else _middle_out(side, limit) for side in (self.old, self.new))
        said = {
            "changed": f"{old} -> {new}",
            "added": f"added {new}",
            "removed": f"removed {old}",
            "length": f"{old} items -> {new}",
            "content": f"content of {self.file}: {_content(self.old)} -> {_content(self.new)}",
            "order": "the same in another order",
            "unseen": "differs in a part that is not shown",
        }
        return f"{path}: {said[self.how]}"


def _middle_out(text: str, limit: int) -> str:
    """The text, without its middle where it is longer than `limit`."""
    if len(text) <= limit:
        return text
    half = (limit - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def _content(digest: str | None) -> str:
    return "missing" if digest is None else digest[:8]


class Difference(NamedTuple):
    """Where two values differ: the first places, and whether there are more."""

    changes: tuple[ValueChange, ...]
    more: bool = False


def differences(name: str, old: bytes, new: bytes, fetch: Fetch) -> Difference:
    """Returns where two payloads of values differ; paths begin with `name`. Equal ones have no changes."""
    return _Walk(fetch).walk(name, old, new)


class _Walk:
    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._objects = _OBJECTS
        self._changes: list[ValueChange] = []
        self._more = False

    def walk(self, name: str, old: bytes, new: bytes) -> Difference:
        try:
            stack: _Pairs = [(name, unpack(old), unpack(new))]
        except MalformedObject:
            return Difference((ValueChange(name, "unseen"),))
        for _ in range(_ITEMS):
            if not stack or len(self._changes) >= _CHANGES:
                break
            path, before, after = stack.pop()
            try:
                stack += reversed(self._pair(path, before, after))
            except _UNFIT:
                self._leaf(path, before, after)
        return Difference(tuple(self._changes), self._more or bool(stack))

    # -- one pair -----------------------------------------------------------------------------------------------------

    def _pair(self, path: str, old: Any, new: Any) -> _Pairs:
        """Adds what differs at this place, or returns the parts to look into."""
        if old is ABSENT:
            self._add(path, "added", None, self._text(new))
            return []
        if new is ABSENT:
            self._add(path, "removed", self._text(old), None)
            return []
        if _same(old, new):
            return []
        old, new = self._resolved(old), self._resolved(new)
        if _code(old) == _code(new) == codes.SEGMENTED:
            found = self._segmented(path, old, new)
            if found is not None:
                return found
        before, after = self._parts(old), self._parts(new)
        if before is not None and after is not None and before.label == after.label:
            return self._inside(path, before, after)
        if _code(old) == _code(new) == codes.FILE and self._file(path, old, new):
            return []
        if _code(old) == _code(new) == codes.FILESET and self._file_set(path, old, new):
            return []
        self._leaf(path, old, new)
        return []

    def _inside(self, path: str, before: Parts, after: Parts) -> _Pairs:
        if before.items is not None and after.items is not None:
            lengths = len(before.items), len(after.items)
            return self._sequence(path, before.items, after.items, 0, lengths)
        pairs = self._fields(path, before.fields, after.fields)
        if not pairs:  # the bytes differ, and no part does
            self._add(path, "order", None, None)
        return pairs

    def _fields(self, path: str, old: dict[bytes, tuple[Any, Any]], new: dict[bytes, tuple[Any, Any]]) -> _Pairs:
        pairs: _Pairs = []
        for key, (step, item) in new.items():
            before = old.get(key, (None, ABSENT))[1]
            if before is ABSENT or not _same(before, item):
                pairs.append((path + self._step(step), before, item))
        pairs += [(path + self._step(step), item, ABSENT) for key, (step, item) in old.items() if key not in new]
        return pairs

    def _step(self, step: Any) -> str:
        """A field's name as it is written behind a path; the key of a dict comes as a list of that one item."""
        if type(step) is list:
            return f"[{show(pack(step[0]), self._get, limit=_KEY)}]"
        return printable(str(step))

    def _file(self, path: str, old: Any, new: Any) -> bool:
        kind, file, before = unpack(old.data)[:3]
        other, target, after = unpack(new.data)[:3]
        if (kind, file) != (other, target) or before == after:
            return False
        earlier, later = (None if state is None else state.hex() for state in (before, after))
        self._changes.append(ValueChange(path, "content", earlier, later, printable(file)))
        return True

    def _file_set(self, path: str, old: Any, new: Any) -> bool:
        """Tells the first members of a set of files that differ; returns whether it is the same set."""
        if unpack(old.data)[:3] != unpack(new.data)[:3]:
            return False
        (before,), (after,) = held_sets(pack(old)), held_sets(pack(new))
        found = member_changes(before, after, self._value)
        for file, was, now in found[:_MEMBERS]:
            name, earlier, later = printable(file), (was or b"").hex(), (now or b"").hex()
            if was is None:
                self._add(path, "added", None, f"{name} ({later[:8]})")
            elif now is None:
                self._add(path, "removed", f"{name} ({earlier[:8]})", None)
            else:
                self._changes.append(ValueChange(path, "content", earlier, later, name))
        if len(found) > _MEMBERS:
            earlier, later = (f"{unpack(item.data)[4]:,} files" for item in (old, new))
            self._add(path, "changed", earlier, f"{later}, {len(found):,} differ")
        return bool(found)

    def _value(self, digest: Digest) -> bytes | None:
        try:
            kind, payload = self._get(digest)
        except RedunError:
            return None
        return bytes(payload) if kind == "value" else None

    def _leaf(self, path: str, old: Any, new: Any) -> None:
        for special in (text_change, array_change):
            try:
                found: LeafChange | None = special(old, new, self._get)
            except (*_UNFIT, RedunError):
                found = None
            if found is not None:
                self._more = self._more or found.more
                self._add(path + found.step, "changed", self._text(found.old), self._text(found.new))
                return
        texts = self._text(old), self._text(new)
        if texts[0] == texts[1]:
            self._add(path, "unseen", *texts)
        else:
            self._add(path, "changed", *texts)

    def _add(self, path: str, how: str, old: str | None, new: str | None) -> None:
        self._changes.append(ValueChange(path, how, old, new))

    # -- reading ------------------------------------------------------------------------------------------------------

    def _text(self, item: Any) -> str:
        return show(pack(item), self._get, limit=_TEXT)

    def _get(self, digest: Digest) -> tuple[str, bytes]:
        """Reads an object as long as that is not one too many.

        Raises:
            MalformedObject: if it is.
        """
        if self._objects <= 0:
            self._more = True
            raise MalformedObject("too many objects to compare")
        self._objects -= 1
        return self._fetch(digest)

    def _resolved(self, item: Any) -> Any:
        """What a pointer leads to; the pointer itself where that is missing."""
        if type(item) is not Pointer:
            return item
        try:
            kind, payload = self._get(item.digest)
        except RedunError:
            return item
        return unpack(payload) if kind == "value" else item

    def _parts(self, item: Any) -> Parts | None:
        try:
            return parts_of(item, self._get)
        except RedunError:
            return None

    # -- containers that are kept in segments -------------------------------------------------------------------------

    def _segmented(self, path: str, old: Any, new: Any) -> _Pairs | None:
        """The pairs of two long containers, from the segments that they do not share; None where one is missing."""
        try:
            before, after = segments_of(old, self._get), segments_of(new, self._get)
        except RedunError:
            return None
        if before.name != after.name:
            return None
        found = unshared(before, after, self._get)
        if before.name in ("list", "tuple"):
            self._more = self._more or found.cut
            return self._sequence(path, found.old, found.new, found.first, (before.length, after.length))
        earlier, later = found.old, found.new
        if found.cut and before.name != "dict":
            earlier, later = comparable_members(earlier, later)
        pairs = [] if found.cut and before.name == "dict" else self._fields(path, *map(before.keyed, (earlier, later)))
        if found.cut:
            self._more = True
            if not pairs:
                self._add(path, "unseen", self._text(old), self._text(new))
        elif not pairs:
            self._add(path, "order", None, None)
        return pairs

    def _sequence(
        self, path: str, old: list[Any], new: list[Any], first: int | None, lengths: tuple[int, int]
    ) -> _Pairs:
        """The pairs of two lists or parts of lists. Where their lengths differ, what was put in or taken out is found
        between what stayed; where that is too much to do, their lengths are told, and the first place.

        `first` is the index of their first items in the whole; None where that is not known.
        """
        before, after = [pack(item) for item in old], [pack(item) for item in new]
        start = _shared(before, after)
        end = _shared(reversed(before[start:]), reversed(after[start:]))
        left, right = range(start, len(before) - end), range(start, len(after) - end)
        most = _CHANGES + 1
        if lengths[0] != lengths[1] and min(len(left), len(right)) and max(len(left), len(right)) > _ALIGNED:
            self._add(path, "length", *map(str, lengths))
            self._more = True
            most = 1
        pairs: _Pairs = []
        for here, there in _aligned(before, after, left, right):
            if here is None or there is None or before[here] != after[there]:
                place = here if there is None else there
                assert place is not None, "nothing stands against nothing"
                step = "[...]" if first is None else f"[{first + place}]"
                earlier = ABSENT if here is None else old[here]
                pairs.append((path + step, earlier, ABSENT if there is None else new[there]))
                if len(pairs) == most:
                    break
        return pairs


# -- items ------------------------------------------------------------------------------------------------------------


def _code(item: Any) -> int:
    return item.code if type(item) is ExtType else -1


def _same(old: Any, new: Any) -> bool:
    """Whether two items have the same bytes: for Python 1, True and 1.0 are equal."""
    return type(old) is type(new) and pack(old) == pack(new)


def _shared(old: Iterable[bytes], new: Iterable[bytes]) -> int:
    count = 0
    for before, after in zip(old, new, strict=False):
        if before != after:
            break
        count += 1
    return count


def _aligned(
    before: list[bytes], after: list[bytes], left: range, right: range
) -> Iterable[tuple[int | None, int | None]]:
    """Which item of one list stands against which of the other; None where none does."""
    if len(left) == len(right) or not left or not right or max(len(left), len(right)) > _ALIGNED:
        return _beside(left, right)
    from difflib import SequenceMatcher  # here: lists that grew or shrank in the middle only

    matcher = SequenceMatcher(None, before[left.start : left.stop], after[right.start : right.stop], autojunk=False)
    found: list[tuple[int | None, int | None]] = []
    for how, i, j, k, m in matcher.get_opcodes():
        if how != "equal":
            found += _beside(left[i:j], right[k:m])
    return found


def _beside(left: range, right: range) -> list[tuple[int | None, int | None]]:
    both: list[tuple[int | None, int | None]] = list(zip(left, right, strict=False))
    both += [(here, None) for here in left[len(right) :]]
    both += [(None, there) for there in right[len(left) :]]
    return both
