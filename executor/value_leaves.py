"""Where two texts, byte strings or arrays differ: the first place, and what stands there on each side."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from redun.core import codes
from redun.core.codec import ExtType, pack, unpack
from redun.core.display import Fetch
from redun.executor.value_columns import elements, first_difference, inner_column, text_column_change

#: A text shorter than this is shown whole.
_SHORT: Final = 60
#: Characters or bytes shown before the first difference and from it on.
_LEAD: Final = 10
_SHOWN: Final = 120
#: Bytes of text in which characters are counted: a place further on is not numbered.
_COUNTED: Final = 1 << 26


class LeafChange(NamedTuple):
    """The first place where two leaves differ.

    Attributes:
        step: the place as it follows a path: `[12:]` in a text, `[3, 0]` in an array.
        old, new: items to show.
        more: whether they differ elsewhere too, as far as is known.
    """

    step: str
    old: Any
    new: Any
    more: bool = False


def text_change(old: Any, new: Any, fetch: Fetch) -> LeafChange | None:
    """Returns the first difference of two texts or byte strings that are too long to show, None where they are not.

    Raises:
        RedunError: if one is an object of its own and cannot be read.
    """
    before, after = _bytes_of(old, fetch), _bytes_of(new, fetch)
    if before is None or after is None or before[0] != after[0]:
        return None
    kind, left = before
    right = after[1]
    if max(len(left), len(right)) <= _SHORT:
        return None
    place = max(first_difference(left, right) - _LEAD, 0)
    index = place
    if kind == "str":
        while place and left[place] & 0xC0 == 0x80:  # not the first byte of its character
            place -= 1
        index = len(str(left[:place], "utf-8", "replace")) if place <= _COUNTED else -1
    step = "[...]" if index < 0 else f"[{index}:]" if index else ""
    return LeafChange(step, _excerpt(kind, left, place), _excerpt(kind, right, place))


def _bytes_of(item: Any, fetch: Fetch) -> tuple[str, memoryview] | None:
    """The name of the type, and the bytes of an item that is made of characters or bytes."""
    if type(item) is str:
        return "str", memoryview(item.encode())
    if type(item) is bytes:
        return "bytes", memoryview(item)
    if type(item) is ExtType and item.code == codes.BYTEARRAY:
        return "bytearray", memoryview(item.data)
    if type(item) is ExtType and item.code == codes.LARGE:
        name, pointer, _ = unpack(item.data)
        return name, memoryview(fetch(pointer.digest)[1])
    return None


def _excerpt(kind: str, data: memoryview, place: int) -> Any:
    part = data[place : place + _SHOWN]
    if kind == "str":
        return str(part, "utf-8", "replace")
    return bytes(part) if kind == "bytes" else ExtType(codes.BYTEARRAY, bytes(part))


# -- arrays -----------------------------------------------------------------------------------------------------------


def array_change(old: Any, new: Any, fetch: Fetch) -> LeafChange | None:
    """Returns the first element in which two arrays of one type and shape differ; None where they are none.

    Raises:
        RedunError: if the bytes of one are an object of their own and cannot be read.
    """
    texts = text_column_change(old, new, fetch)
    if texts is not None:
        return LeafChange(f"[{texts[0]}]", *texts[1:], more=True)
    before, after = _array(old), _array(new)
    if before is None or after is None or before[:2] != after[:2]:
        return None
    descr, shape, _ = before
    size = int(descr[2:]) if type(descr) is str and descr[2:].isdigit() else 0
    if descr[1:2] == "U":
        size *= 4  # four bytes a character
    left, right = elements(before[2], fetch), elements(after[2], fetch)
    if not size or len(left) != len(right) or not len(left):
        return None
    place = first_difference(left, right) // size * size
    rest = place + size
    more = bool(left[rest:] != right[rest:])
    name = f"numpy.{_KINDS.get(descr[1:2], 'element')}{8 * size}"
    # as the scalars of that type are stored
    earlier, later = (ExtType(codes.ADAPTED, pack([name, [descr, bytes(data[place:rest])]])) for data in (left, right))
    return LeafChange(f"[{', '.join(map(str, _index(place // size, shape)))}]", earlier, later, more)


_KINDS: Final = {"f": "float", "i": "int", "u": "uint", "c": "complex"}


def _array(item: Any) -> list[Any] | None:
    """Type, shape and data of an array, None where the item is none."""
    if type(item) is not ExtType or item.code != codes.ADAPTED:
        return None
    code, state = unpack(item.data)
    if code == "numpy.ndarray":
        array: list[Any] = state[:3]
        return array
    column = inner_column(item)
    if type(column) is list and column[0] == "fixed" and column[4] is None:
        return [column[1].partition("[")[0], [column[2]], column[3][0]]
    return None


def _index(number: int, shape: list[int]) -> list[int]:
    index = []
    for length in reversed(shape):
        number, place = divmod(number, length)
        index.append(place)
    return index[::-1]
