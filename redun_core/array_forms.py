"""Forms of arrays, tensors and scalars of numpy and torch: shape, dtype and the first numbers, from their bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from redun.core.errors import MalformedObject
from redun.core.forms import ADAPTED, FAMILIES, Form, base_name, items_of, printable

#: Numbers of an array that are written.
_ITEMS: Final = 6
_NAMES: Final = {"f": "float", "i": "int", "u": "uint", "c": "complex"}
_STRUCT: Final = {
    "|b1": "?", "|i1": "b", "<i2": "h", "<i4": "i", "<i8": "q", "|u1": "B", "<u2": "H", "<u4": "I", "<u8": "Q",
    "<f2": "e", "<f4": "f", "<f8": "d",
}  # fmt: skip
_TORCH: Final = {
    "bool": "|b1", "int8": "|i1", "int16": "<i2", "int32": "<i4", "int64": "<i8", "uint8": "|u1", "uint16": "<u2",
    "uint32": "<u4", "uint64": "<u8", "float16": "<f2", "float32": "<f4", "float64": "<f8",
}  # fmt: skip

# -- items of one width -----------------------------------------------------------------------------------------------


def dtype_name(descr: Any) -> str:
    """Returns the name of a dtype from what numpy writes for it."""
    if not isinstance(descr, str):
        return "record"
    if descr == "|b1":
        return "bool"
    plain, _, unit = descr.partition("[")
    if unit and plain[1:2] in "Mm":
        return f"{'datetime64' if plain[1] == 'M' else 'timedelta64'}[{printable(unit)}"
    name, size = _NAMES.get(plain[1:2]), plain[2:]
    return f"{name}{int(size) * 8}" if name and size.isdigit() else printable(descr)


def first_items(descr: Any, data: Any, count: int) -> list[str]:
    """Returns the text of at most the first `count` items of an array, as many as there are bytes; none where the
    dtype is not one of plain numbers and times. A unit after the dtype says what numbers stand for."""
    if not isinstance(descr, str) or not isinstance(data, bytes):
        return []
    plain, _, unit = descr.partition("[")
    unit = unit.rstrip("]")
    if plain in ("<M8", "<m8"):
        plain, unit = "<i8", unit if plain == "<M8" else f"+{unit}"
    letter = _STRUCT.get(plain)
    if letter is not None:
        count = min(count, len(data) // struct.calcsize(letter))
        numbers = struct.unpack_from(f"<{count}{letter}", data)
        return [_in_unit(number, unit) if unit else repr(number) for number in numbers]
    if plain[:2] == "|V" and unit[:1] == "e":
        size = int(plain[2:])
        return [_decimal(data[i : i + size], int(unit[1:])) for i in range(0, min(count * size, len(data)), size)]
    return []


#: Units of a second in each.
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MISSING: Final = -(2**63)


def _in_unit(number: Any, unit: str) -> str:
    """A moment since 1970, a time or a span of time (`+`), as text."""
    if number == _MISSING:
        return "NaT"
    try:
        if unit == "D":
            return (datetime(1970, 1, 1) + timedelta(days=number)).date().isoformat()  # noqa: DTZ001  a date has no zone
        per = _PER_SECOND[unit.removeprefix("+")]
        seconds, rest = divmod(number, per)
        fraction = f".{rest:0{len(str(per)) - 1}d}" if rest else ""
        if unit[0] == "+":
            return f"{timedelta(seconds=seconds)}{fraction}"
        return f"{datetime(1970, 1, 1) + timedelta(seconds=seconds)}{fraction}"  # noqa: DTZ001  what is stored has none
    except (OverflowError, KeyError):
        return f"{number!r} {printable(unit)}"


def _decimal(data: bytes, exponent: int) -> str:
    digits = str(int.from_bytes(data, "little", signed=True))
    if not -80 < exponent < 0:
        return f"{digits}e{exponent}"
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    digits = digits.zfill(1 - exponent)
    return f"{sign}{digits[:exponent]}.{digits[exponent:]}"


def held(data: list[Any]) -> Any:
    """Returns the first bytes of a buffer: [bytes], or [a large leaf, its first bytes]."""
    return data[1] if len(data) > 1 else data[0]


# -- arrays -----------------------------------------------------------------------------------------------------------


def _array(name: str, descr: Any, dtype: str, shape: list[int], data: list[Any]) -> Form:
    shape = [int(size) for size in shape]
    about = f"shape=({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''}), dtype={dtype})"
    row = shape[-1] if shape else 1
    items = first_items(descr, held(data), min(row, _ITEMS))
    if not items:
        return Form(f"{name}({about}", style="name")
    if not shape:
        return Form(f"{name}({items[0]}, {about}", style="name")
    text = f"[{', '.join(items)}{', ...' if row > len(items) else ''}]"
    for size in reversed(shape[:-1]):
        text = f"[{text}{', ...' if size > 1 else ''}]"
    return Form(f"{name}({text}, {about}", style="name")


def _numpy_array(_: str, state: Any) -> Form:
    descr, shape, *data = state
    return _array("array", descr, dtype_name(descr), shape, data)


def _tensor(_: str, state: Any) -> Form:
    dtype, shape, _grad, *data = state
    return _array("tensor", _TORCH.get(dtype, ""), printable(dtype), shape, data)


def _objects(_: str, state: Any) -> Form:
    shape, items = state[:2]
    size = f"shape=({', '.join(map(str, map(int, shape)))}{',' if len(shape) == 1 else ''})"
    dtype = "object" if len(state) == 2 else "text"
    return Form("array(", [("", items), ("", Form(f"{size}, dtype={dtype}"))], ")")


def _scalar(code: str, state: Any) -> Form:
    descr, data = state
    items = first_items(descr, data, 1)
    return Form(f"{base_name(code)}({items[0] if items else repr(data)})", style="number")


def _dtype(_: str, state: Any) -> Form:
    return Form("dtype(", items_of([state]), ")")


def _masked(_: str, state: Any) -> Form:
    data, mask, _fill, _hard = state
    return Form("masked_array(", [("", data), ("mask=", mask)], ")")


def _around(code: str, state: Any) -> Form:
    return Form(f"{base_name(code)}(", items_of([state]), ")")


def _named(code: str, state: Any) -> Form:
    return Form(f"<{printable(code.rpartition('.')[0])}.{printable(state)}>", style="name")


def safely(write: Callable[[str, Any], Form]) -> Callable[[str, Any], Form]:
    """Returns the same writer for states of strangers: what `struct` cannot take, or is far too large, is malformed."""

    def safe(code: str, state: Any) -> Form:
        try:
            return write(code, state)
        except (struct.error, RecursionError, MemoryError) as error:
            raise MalformedObject(f"an array or a table that makes no sense: {error}") from None

    return safe


_WRITERS: Final[dict[str, Callable[[str, Any], Form]]] = {
    "numpy.ndarray": _numpy_array,
    "numpy.objects": _objects,
    "numpy.texts": _objects,
    "numpy.dtype": _dtype,
    "numpy.recarray": _around,
    "numpy.matrix": _around,
    "numpy.str_": _around,
    "numpy.bytes_": _around,
    "numpy.function": _named,
    "numpy.ma.MaskedArray": _masked,
    "numpy.ma.masked": lambda _, __: Form("masked", style="word"),
    "torch.Tensor": _tensor,
    "torch.dtype": _named,
}
ADAPTED.update({code: safely(write) for code, write in _WRITERS.items()})
FAMILIES["numpy"] = safely(_scalar)
