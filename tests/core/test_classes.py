"""Instances of classes as stored: which form they take, which code they bring along, and what errors keep."""

from __future__ import annotations

import copyreg
import sys
import threading
from typing import Any

import pytest

from redun.core import codes
from redun.core.classes import UnavailableError
from redun.core.codec import ExtType, unpack
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotDecode, CannotEncode
from redun.core.expressions import Operation
from redun.core.values import Encoder
from tests.core import sample_values as s


def _form(value: Any) -> tuple[int, Any]:
    ext = unpack(Encoder(DEFAULT_FORMAT).encode(value).payload)
    assert isinstance(ext, ExtType)
    return ext.code, unpack(ext.data)


def _round_trip(value: Any) -> Any:
    encoder = Encoder(DEFAULT_FORMAT)
    return Decoder(encoder.objects.__getitem__).decode(encoder.encode(value).payload)


NAME = "tests.core.sample_values"


@pytest.mark.parametrize(
    ("value", "code", "items"),
    [
        (s.Point(1, 2), codes.DATACLASS, [f"{NAME}:Point", ["x", "y"], [1, 2]]),
        (s.Scaled(4), codes.DATACLASS, [f"{NAME}:Scaled", ["size"], [40]]),
        (s.Pair(1, 2), codes.NAMEDTUPLE, [f"{NAME}:Pair", ["left", "right"], [1, 2]]),
        (s.Color.RED, codes.ENUM, [f"{NAME}:Color", "RED"]),
        (s.Access(3), codes.ENUM, [f"{NAME}:Access", 3]),
        (s.Box(1), codes.INSTANCE, [f"{NAME}:Box", [], [{"content": 1}, None, None]]),
        (s.MyList([1]), codes.INSTANCE, [f"{NAME}:MyList", [], [None, [1], None]]),
        (s.MyDict(a=1), codes.INSTANCE, [f"{NAME}:MyDict", [], [None, None, [["a", 1]]]]),
        (s.MyStr("a"), codes.INSTANCE, [f"{NAME}:MyStr", ["a"], [None, None, None]]),
        (s.Interned("a"), codes.INSTANCE, [f"{NAME}:Interned", ["a"], [{"name": "a"}, None, None]]),
        (ValueError("a"), codes.ERROR, ["builtins:ValueError", ["a"], [], None, {}]),
        (s.function, codes.FUNCTION, [f"{NAME}:function"]),
        (len, codes.FUNCTION, ["builtins:len"]),
        (s.Outer.Inner, codes.CLASS, [f"{NAME}:Outer.Inner"]),
    ],
)
def test_forms_are_as_documented(value: Any, code: int, items: list[Any]):
    assert _form(value) == (code, items)


def test_the_classes_of_instances_are_gathered_as_code():
    found = Encoder(DEFAULT_FORMAT).encode({"a": [s.Point(1, s.Pair(s.Color.RED)), s.MyList(), s.function, s.Box]}).code
    assert set(found) == {s.Point, s.Pair, s.Color, s.MyList, s.function, s.Box}


def test_a_slot_that_was_never_set_stays_unset():
    value = s.Slotted()
    value.second = 2
    decoded = _round_trip(value)
    assert decoded.second == 2
    assert not hasattr(decoded, "first")


def test_a_dataclass_reads_with_its_fields_alone():
    read = _round_trip(s.Scaled(4))
    assert vars(read) == {"size": 40}
    assert (read.unit, read.scale) == ("m", 10)


def test_a_constructor_is_not_called(monkeypatch: pytest.MonkeyPatch):
    encoder = Encoder(DEFAULT_FORMAT)
    payload = encoder.encode([s.Box(1), s.Point(1), s.Failed(3)]).payload
    for kind in (s.Box, s.Point, s.Failed):
        monkeypatch.setattr(kind, "__init__", None)
    box, point, error = Decoder(encoder.objects.__getitem__).decode(payload)
    assert (box.content, point.x, error.code) == (1, 1, 3)


def test_a_registered_reduce_function_is_not_called(monkeypatch: pytest.MonkeyPatch):
    def reduce_box(box: Any) -> Any:
        raise AssertionError("called")

    monkeypatch.setitem(copyreg.dispatch_table, s.Box, reduce_box)
    assert _round_trip(s.Box(1)).content == 1


def test_a_singleton_enum_member_is_the_member_itself():
    assert _round_trip([s.Color.RED, s.Planet.EARTH]) == [s.Color.RED, s.Planet.EARTH]
    assert _round_trip(s.Planet.EARTH) is s.Planet.EARTH


def test_an_enum_member_keeps_its_id_when_its_value_changes(monkeypatch: pytest.MonkeyPatch):
    # the code of the class is in the keys of its consumers, not in the value
    assert _form(s.Color.RED)[1] == [f"{NAME}:Color", "RED"]
    monkeypatch.setattr(s.Color.RED, "_value_", 7)
    assert _form(s.Color.RED)[1] == [f"{NAME}:Color", "RED"]


def test_the_main_module_has_the_name_of_its_file(monkeypatch: pytest.MonkeyPatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__file__", "/somewhere/flow.py", raising=False)
    monkeypatch.setattr(s.Box, "__module__", "__main__")
    monkeypatch.setattr(main, "Box", s.Box, raising=False)
    assert _form(s.Box(1))[1][0] == "flow:Box"
    assert isinstance(_round_trip(s.Box(1)), s.Box)


# -- errors -----------------------------------------------------------------------------------------------------------


class Unsayable:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __repr__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_is_told_whatever_it_holds():
    error = ValueError(threading.Lock(), Operation("add", (1, 2)), Unsayable(), 5)
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    decoded = _round_trip(error)
    assert [type(arg) for arg in decoded.args] == [str, str, str, int]
    assert decoded.args[2] == "<Unsayable>"
    assert "lock" in decoded.lock


def test_an_error_whose_class_has_no_name_is_told_under_another():
    class LocalError(Exception): ...

    decoded = _round_trip(LocalError("a", 1))
    assert isinstance(decoded, UnavailableError)
    assert decoded.args[-2:] == ("a", 1)
    assert "LocalError" in decoded.args[0]


def test_an_error_of_a_class_that_is_gone_is_told_under_another(monkeypatch: pytest.MonkeyPatch):
    encoder = Encoder(DEFAULT_FORMAT)
    payload = encoder.encode(s.Failed(3, detail="d")).payload
    monkeypatch.delattr(s, "Failed")
    decoded = Decoder(encoder.objects.__getitem__).decode(payload)
    assert isinstance(decoded, UnavailableError)
    assert decoded.code == 3


def test_an_os_error_reads_as_before(tmp_path: Any):
    with pytest.raises(FileNotFoundError) as caught:
        open(tmp_path / "missing", "rb")  # noqa: SIM115
    decoded = _round_trip(caught.value)
    assert str(decoded) == str(caught.value)
    assert (decoded.errno, decoded.filename) == (2, str(tmp_path / "missing"))


def test_causes_notes_and_groups_are_kept():
    group = ExceptionGroup("g", [ValueError(1), ExceptionGroup("h", [KeyError("k")])])
    group.add_note("n")
    group.__cause__ = OSError(5, "io")
    decoded = _round_trip(group)
    assert decoded.__notes__ == ["n"]
    assert decoded.exceptions[1].exceptions[0].args == ("k",)
    assert decoded.__cause__.errno == 5


def test_the_traceback_and_context_are_not_part_of_an_error_value():
    with pytest.raises(ValueError, match="1") as caught:  # noqa: PT012
        try:
            int("x")
        except ValueError:
            raise ValueError(1)  # noqa: B904  the context is what this is about
    assert caught.value.__context__ is not None
    assert _form(caught.value) == _form(ValueError(1))


def test_a_ring_of_causes_is_cut():
    one, two = ValueError(1), ValueError(2)
    one.__cause__, two.__cause__ = two, one
    assert _round_trip(one).__cause__ is None
    one.__cause__ = one
    assert _round_trip(one).args == (1,)


def test_a_chain_of_causes_without_end_in_sight_is_cut():
    error = ValueError(0)
    for number in range(1, 1000):
        newer = ValueError(number)
        newer.__cause__ = error
        error = newer
    assert _round_trip(error).args == (999,)


def test_strange_notes_are_kept_as_text():
    error = ValueError()
    error.__notes__ = [1, Unsayable()]  # type: ignore[attr-defined]
    assert _round_trip(error).__notes__ == ["1", "<Unsayable>"]
    for notes in (None, 5, "text"):
        error.__notes__ = notes  # type: ignore[attr-defined]
        assert _round_trip(error).args == ()


# -- names ------------------------------------------------------------------------------------------------------------


def test_names_lead_back():
    for obj in (s.Box, s.Outer.Inner, s.function, s.Outer.method, len, list):
        assert codes.lookup(codes.qualified_name(obj)) is obj


@pytest.mark.parametrize("name", ["nowhere:Thing", f"{NAME}:Nowhere", f"{NAME}:Box.nowhere", "", ":", "builtins"])
def test_a_name_that_leads_nowhere_is_an_error(name: str):
    with pytest.raises(CannotDecode):
        codes.lookup(name)


def test_a_local_class_or_function_has_no_name():
    def local() -> None: ...

    with pytest.raises(CannotEncode, match="top level of a module"):
        codes.qualified_name(local)
