"""Values of every kind that can be stored, by name, and the classes of those that are the user's own."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import http
import math
import pathlib
import struct
import uuid
import zoneinfo
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from redun.core import keys  # noqa: F401  it registers what can be stored
from redun.core.digest import DEFAULT_FORMAT, Digest, ObjectFormat
from redun.core.files import encoding  # noqa: F401  likewise
from redun.core.frame import object_id
from redun.core.values import Encoder

T = TypeVar("T")


# -- classes of the user ----------------------------------------------------------------------------------------------


@dataclass
class Point:
    x: int
    y: Any = 0


@dataclass
class Scaled:
    unit: ClassVar[str] = "m"
    given: InitVar[int]
    scale: InitVar[int] = 10
    size: int = field(init=False)

    def __post_init__(self, given: int, scale: int) -> None:
        self.size = given * scale


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    parts: tuple[Any, ...] = ()


@dataclass
class WithDefault(Point):
    tags: list[str] = field(default_factory=list)


@dataclass
class ListOfPoints(list[Any]):
    name: str = ""


class Pair(NamedTuple):
    left: Any
    right: Any = None


class NamedPair(Pair):
    """A subclass with room for more than the fields."""


class Box(Generic[T]):
    def __init__(self, content: T) -> None:
        self.content = content


class Slotted:
    __slots__ = ("first", "second")


class SlottedChild(Slotted):
    def __init__(self) -> None:
        self.first = 1
        self.own = [2]


class Temperature:
    def __init__(self, celsius: float) -> None:
        self.celsius = celsius

    def __getstate__(self) -> dict[str, float]:
        return {"kelvin": self.celsius + 273.0}

    def __setstate__(self, state: dict[str, float]) -> None:
        self.celsius = state["kelvin"] - 273.0


class Interned:
    def __new__(cls, name: str) -> Interned:
        made = super().__new__(cls)
        made.name = name
        return made

    name: str

    def __getnewargs__(self) -> tuple[str]:
        return (self.name,)


class MyList(list[Any]): ...


class MyDict(dict[Any, Any]): ...


class MyTuple(tuple[Any, ...]): ...


class MySet(set[Any]): ...


class MyFrozenset(frozenset[Any]): ...


class MyStr(str): ...


class MyInt(int): ...


class MyFloat(float): ...


class MyBytes(bytes): ...


class Color(enum.Enum):
    RED = 1
    GREEN = "green"
    ROUGE = 1


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Planet(Point, enum.Enum):
    EARTH = (1, 2)


class Failed(Exception):
    def __init__(self, code: int, *, detail: str = "") -> None:
        super().__init__(f"failed with {code}")
        self.code = code
        self.detail = detail


class NewFailed(ValueError):
    def __new__(cls, first: int, second: int) -> NewFailed:
        return super().__new__(cls, first, second)


class SlotFailed(Exception):
    __slots__ = ("extra",)


@dataclass
class DataFailed(Exception):
    code: int
    parts: tuple[int, ...] = ()


def function() -> None: ...


class Outer:
    class Inner: ...

    @staticmethod
    def method() -> None: ...


# -- values -----------------------------------------------------------------------------------------------------------


def _with(obj: Any, **attributes: Any) -> Any:
    for name, value in attributes.items():
        setattr(obj, name, value)
    return obj


def _raised(error: BaseException, *, notes: tuple[str, ...] = (), cause: BaseException | None = None) -> BaseException:
    for note in notes:
        error.add_note(note)
    if cause is not None:
        error.__cause__ = cause
    return error


PLAIN: dict[str, Any] = {
    "None": None,
    "True": True,
    "False": False,
    "0": 0,
    "1": 1,
    "-1": -1,
    "largest native": 2**64 - 1,
    "above native": 2**64,
    "smallest native": -(2**63),
    "below native": -(2**63) - 1,
    "huge": 10**400,
    "minus huge": -(10**400),
    "0.0": 0.0,
    "-0.0": -0.0,
    "1.0": 1.0,
    "nan": math.nan,
    "other nan": struct.unpack(">d", bytes.fromhex("7ff8000000000001"))[0],
    "minus nan": struct.unpack(">d", bytes.fromhex("fff8000000000000"))[0],
    "inf": math.inf,
    "empty text": "",
    "text": "a",
    "number as text": "1",
    "accents": "é",
    "other accents": "e\u0301",
    "surrogate": "\ud800",
    "text that ends in a surrogate": "a\udcff",
    "empty bytes": b"",
    "bytes": b"a",
    "bytearray": bytearray(b"a"),
    "empty bytearray": bytearray(),
    "complex": 1 + 2j,
    "signs of zero": complex(-0.0, 0.0),
    "range": range(3),
    "range with step": range(3, -3, -2),
    "slice": slice(1, None, 2),
    "ellipsis": ...,
}

CONTAINERS: dict[str, Any] = {
    "empty list": [],
    "empty tuple": (),
    "empty set": set(),
    "empty frozenset": frozenset(),
    "empty dict": {},
    "[1]": [1],
    "(1,)": (1,),
    "{1}": {1},
    "{True}": {True},
    "{1.0}": {1.0},
    "frozenset({1})": frozenset({1}),
    "[[1]]": [[1]],
    "([1],)": ([1],),
    "[(1,)]": [(1,)],
    "[1, 2]": [1, 2],
    "dict": {"a": 1, "b": 2},
    "dict in other order": {"b": 2, "a": 1},
    "items of dict": [["a", 1], ["b", 2]],
    "keys of many types": {None: 0, False: 1, 2: 2, 3.5: 3, "4": 4, b"5": 5, (6,): 6, frozenset({7}): 7},
    "set of many types": {None, False, 2, 3.5, "4", b"5", (6,), frozenset({7})},
    "bytearray in list": [bytearray(b"a"), b"a"],
    "bytearray in tuple": (bytearray(b"a"),),
    "bytearray in dict": {b"k": bytearray(b"a")},
    "surrogates in containers": [{"\ud800": "\ud801"}, ("\ud802",), {"\ud803"}],
    "big numbers in containers": [2**70, (2**70,), {2**70: -(2**70)}],
    "mixed": {"a": [(1, {2: {3, (4,)}}), frozenset({"x"})], ("k",): [None, ..., 1j]},
    "OrderedDict": collections.OrderedDict(a=1, b=2),
    "OrderedDict in other order": collections.OrderedDict(b=2, a=1),
    "defaultdict": collections.defaultdict(list, a=[1]),
    "defaultdict without factory": collections.defaultdict(None, a=[1]),
    "Counter": collections.Counter("aab"),
    "deque": collections.deque([1, (2,)]),
    "deque with bound": collections.deque([1, (2,)], maxlen=5),
    "ChainMap": collections.ChainMap({"a": 1}, {"b": (2,)}),
    "list subclass": MyList([1]),
    "list subclass with attribute": _with(MyList([1]), name="n"),
    "dict subclass": MyDict(a=1),
    "dict subclass with attribute": _with(MyDict(a=1), name="n"),
    "tuple subclass": MyTuple((1,)),
    "set subclass": MySet({1}),
    "set subclass with attribute": _with(MySet({1}), name="n"),
    "frozenset subclass": MyFrozenset({1}),
    "str subclass": MyStr("a"),
    "int subclass": MyInt(1),
    "float subclass": MyFloat(1.0),
    "bytes subclass": MyBytes(b"a"),
    "str subclass with attribute": _with(MyStr("a"), lang="en"),
}

_ZONE = zoneinfo.ZoneInfo("Europe/Berlin")
_NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 5)

LIBRARY: dict[str, Any] = {
    "date": dt.date(2024, 2, 29),
    "datetime": _NOON,
    "datetime in UTC": _NOON.replace(tzinfo=dt.UTC),
    "datetime with offset": _NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))),
    "datetime with named offset": _NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=1), "X")),
    "datetime in a zone": _NOON.replace(tzinfo=_ZONE),
    "datetime in the second fold": dt.datetime(2024, 10, 27, 2, 30, tzinfo=_ZONE, fold=1),
    "datetime in the first fold": dt.datetime(2024, 10, 27, 2, 30, tzinfo=_ZONE),
    "time": dt.time(1, 2, 3, 4),
    "time with offset": dt.time(1, 2, tzinfo=dt.UTC),
    "timedelta": dt.timedelta(days=-1, microseconds=1),
    "UTC": dt.UTC,
    "offset": dt.timezone(dt.timedelta(minutes=-1)),
    "named UTC": dt.timezone(dt.timedelta(0), "Z"),
    "zone": _ZONE,
    "Decimal": Decimal("1.50"),
    "equal Decimal": Decimal("1.5"),
    "Decimal infinity": Decimal("-Infinity"),
    "Decimal nan": Decimal("sNaN12"),
    "Fraction": Fraction(1, 3),
    "UUID": uuid.UUID(int=5),
    "path": pathlib.Path("a/b"),
    "pure path": pathlib.PurePosixPath("a/b"),
    "windows path": pathlib.PureWindowsPath("a/b"),
}

CLASSES: dict[str, Any] = {
    "dataclass": Point(1, [2]),
    "dataclass with attribute": _with(Point(1), extra=(1,)),
    "frozen dataclass": Frozen("a", (1, [2])),
    "dataclass by inheritance": WithDefault(1, tags=["a"]),
    "dataclass that is a list": _with(ListOfPoints("n"), name="n"),
    "dataclass that is a filled list": [*map(_with, [ListOfPoints("n")])],
    "named tuple": Pair(1, (2,)),
    "named tuple subclass": NamedPair(1, 2),
    "named tuple subclass with attribute": _with(NamedPair(1, 2), note="n"),
    "object": Box([1]),
    "slots": _with(Slotted(), first=1),
    "slots and attributes": SlottedChild(),
    "own state": Temperature(20.0),
    "new arguments": Interned("a"),
    "enum": Color.RED,
    "enum of text": Color.GREEN,
    "enum alias": Color.ROUGE,
    "int enum": Level.LOW,
    "flag": Access.READ,
    "flags": Access.READ | Access.WRITE,
    "no flags": Access(0),
    "enum with a dataclass": Planet.EARTH,
    "enum of the standard library": http.HTTPStatus.OK,
    "class": Point,
    "inner class": Outer.Inner,
    "builtin class": list,
    "exception class": ValueError,
    "class of the standard library": Decimal,
    "function": function,
    "static method": Outer.method,
    "builtin function": len,
    "function of the standard library": math.sin,
}

ERRORS: dict[str, Any] = {
    "ValueError": ValueError("bad", 1),
    "error without arguments": ValueError(),
    "error with notes": _raised(ValueError("bad"), notes=("first", "second")),
    "error with cause": _raised(ValueError("bad"), cause=KeyError("k")),
    "error with attribute": _with(ValueError("bad"), code=5),
    "own error": Failed(3, detail="d"),
    "error with __new__": NewFailed(1, 2),
    "error with slots": _with(SlotFailed("a"), extra=(1,)),
    "dataclass error": DataFailed(3, (1,)),
    "OSError": FileNotFoundError(2, "No such file", "a/b"),
    "OSError with two names": OSError(18, "cross", "a", None, "b"),
    "UnicodeDecodeError": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad byte"),
    "ImportError": ImportError("no", name="n", path="p"),
    "SyntaxError": SyntaxError("bad", ("f.py", 1, 2, "x =", 1, 3)),
    "SystemExit": SystemExit(3),
    "StopIteration": StopIteration(4),
    "KeyError": KeyError("k"),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "group": ExceptionGroup("g", [ValueError(1), TypeError("t")]),
}

_RECORD = np.dtype([("a", "<i4"), ("b", "<f8", (2,))])

ARRAYS: dict[str, Any] = {
    "int array": np.arange(6, dtype=np.int64),
    "int32 array": np.arange(6, dtype=np.int32),
    "matrix": np.arange(6, dtype=np.int64).reshape(2, 3),
    "scalar array": np.array(5),
    "empty array": np.zeros((0, 3)),
    "bool array": np.array([True, False]),
    "text array": np.array(["a", "bcd"]),
    "bytes array": np.array([b"a", b"bcd"]),
    "complex array": np.array([1 + 2j]),
    "dates": np.array(["2024-02-29"], dtype="datetime64[D]"),
    "records": np.zeros(2, dtype=_RECORD),
    "int64 scalar": np.int64(1),
    "int32 scalar": np.int32(1),
    "float scalar": np.float64(1.0),
    "bool scalar": np.True_,
    "text scalar": np.str_("a"),
    "date scalar": np.datetime64("2024-02-29"),
    "dtype": np.dtype("int32"),
    "record dtype": _RECORD,
    "array in list": [np.arange(2)],
}

SAMPLES: dict[str, Any] = PLAIN | CONTAINERS | LIBRARY | CLASSES | ERRORS | ARRAYS
#: Two names of one value.
SAME = {"enum": "enum alias"}


# -- comparing and encoding -------------------------------------------------------------------------------------------


def alike(a: Any, b: Any) -> bool:
    """Returns whether two values cannot be told apart: types, order, signs and bits of numbers included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float) and struct.pack(">d", a) != struct.pack(">d", b):
        return False
    if isinstance(a, complex):
        return alike([a.real, a.imag], [b.real, b.imag])
    if isinstance(a, (type, enum.Enum)):
        return a is b
    return _state(a) == _state(b) and _alike_parts(a, b) if _is_made_of_parts(a) else _alike_leaf(a, b)


def _alike_leaf(a: Any, b: Any) -> bool:
    return repr(a) == repr(b) and _state(a) == _state(b)


def _is_made_of_parts(a: Any) -> bool:
    return isinstance(a, (list, tuple, dict, set, frozenset, BaseException)) or bool(_state(a))


def _state(a: Any) -> list[str]:
    return sorted(_attributes(a))


def _attributes(a: Any) -> dict[str, Any]:
    slots = [name for kind in type(a).__mro__ for name in getattr(kind, "__slots__", ()) if hasattr(a, name)]
    found = dict(getattr(a, "__dict__", {})) | {name: getattr(a, name) for name in slots}
    if isinstance(a, OSError):
        found |= {"filename": a.filename, "filename2": a.filename2, "errno": a.errno}
    return found if type(a).__module__ == __name__ or isinstance(a, BaseException) else {}


def _parts(a: Any) -> list[Any]:
    if isinstance(a, dict):
        return [*a, *a.values()]
    if isinstance(a, (list, tuple)):
        return list(a)
    if isinstance(a, (set, frozenset)):
        return sorted(a, key=_place)
    if isinstance(a, BaseException):
        return [a.args, a.__cause__, str(a)]
    return []


def _place(item: Any) -> tuple[str, str]:
    inner = sorted(map(_place, item)) if isinstance(item, (frozenset, tuple)) else item
    return type(item).__name__, repr(inner)


def _alike_parts(a: Any, b: Any) -> bool:
    mine, yours = _parts(a), _parts(b)
    mine += [value for _, value in sorted(_attributes(a).items(), key=lambda item: item[0])]
    yours += [value for _, value in sorted(_attributes(b).items(), key=lambda item: item[0])]
    return len(mine) == len(yours) and all(map(alike, mine, yours))


def ids(values: dict[str, Any], fmt: ObjectFormat = DEFAULT_FORMAT) -> dict[str, Digest]:
    """Returns the id of each value by its name."""
    made: dict[str, Digest] = {}
    for name, value in values.items():
        made[name] = object_id(fmt, "value", Encoder(fmt).encode(value).payload)
    return made


def fetcher(encoder: Encoder) -> Callable[[Digest], tuple[str, bytes]]:
    """Returns what reads the objects that an encoder has put."""
    return lambda digest: encoder.objects[digest]
