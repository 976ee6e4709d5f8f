"""Types of the user that say how they are stored: `Value`, `ProxyValue`, and the decorator of adapters."""

from __future__ import annotations

import decimal
from pathlib import Path
from typing import Any

import pytest

from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotEncode, CodecError
from redun.core.values import Encoder
from redun.value import FileCache, ProxyValue, Value, value_adapter
from tests.core.round_trips import line, payload, round_trip


class Plain(Value):
    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and other.number == self.number

    def __hash__(self) -> int:
        return hash(self.number)


class Named(Value):
    type_name = "acme.Named"

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers
        self.scratch = object()

    def __getstate__(self) -> dict[str, Any]:
        return {"numbers": sorted(self.numbers)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.numbers = state["numbers"]


class Packed(Value):
    def __init__(self, text: str) -> None:
        self.text = text

    def serialize(self) -> bytes:
        return self.text.encode()

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        return cls(data.decode())


class Marker(Value):
    """Stands for a file that has to be there."""

    def __init__(self, path: str) -> None:
        self.path = path

    def is_valid(self) -> bool:
        if not self.path:
            raise OSError("no path")
        return Path(self.path).exists()

    def describe(self) -> str:
        return f"marker {self.path}"


class Salted(Value):
    salt = "a"

    def get_hash(self, data: bytes | None = None) -> str:
        return Salted.salt + super().get_hash(data)


class Listed(list[Any], Value):
    pass


class Foreign:
    """Of others: it has a reduce method of its own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __reduce__(self) -> Any:
        raise TypeError("no")


class ForeignChild(Foreign):
    pass


class ForeignProxy(ProxyValue):
    type = Foreign
    type_name = "acme.Foreign"

    def serialize(self) -> bytes:
        return self.instance.text.encode()

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        return raw_type(data.decode())


class Positive(FileCache):
    """A form of the library's own stays; whether it holds is new."""

    type = decimal.Context
    base_path = "anywhere"

    def serialize(self) -> bytes:
        return str(self.instance.prec).encode()

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        return raw_type(int(data))

    def is_valid(self) -> bool:
        return bool(self.instance.prec > 3)


def _decoder(value: Any) -> tuple[Any, Decoder]:
    encoder = Encoder(DEFAULT_FORMAT)
    decoder = Decoder(encoder.objects.__getitem__)
    return decoder.decode(encoder.encode(value).payload), decoder


def test_a_value_is_stored_by_its_name_and_state():
    assert round_trip(Plain(3)) == Plain(3)
    assert payload(Plain(3)) != payload(Plain(4))
    assert line(Plain(3)) == "Plain([{'number': 3}])"


def test_a_type_name_of_its_own_is_what_the_bytes_hold():
    assert b"acme.Named" in payload(Named([1]))
    assert __name__.encode() not in payload(Named([1]))


def test_the_state_identifies_and_nothing_else():
    assert payload(Named([2, 1])) == payload(Named([1, 2]))
    decoded = round_trip(Named([2, 1]))
    assert (decoded.numbers, hasattr(decoded, "scratch")) == ([1, 2], False)


def test_a_value_may_have_a_format_of_its_own():
    assert round_trip([Packed("é")])[0].text == "é"


def test_serialize_has_to_return_bytes():
    class Wrong(Value):
        def serialize(self) -> Any:
            return "text"

    with pytest.raises(CannotEncode, match=r"serialize of .*Wrong returned a str"):
        payload(Wrong())


def test_items_of_a_list_that_is_a_value_are_stored():
    listed = Listed([1, [2]])
    listed.name = "n"  # type: ignore[attr-defined]
    decoded = round_trip(listed)
    assert (type(decoded), list(decoded), decoded.name) == (Listed, [1, [2]], "n")


def test_a_value_that_may_become_invalid_is_an_external_one(tmp_path: Path):
    path = tmp_path / "m"
    path.touch()
    encoder = Encoder(DEFAULT_FORMAT)
    (external,) = encoder.encode([Marker(str(path))]).externals
    assert external.is_valid()
    _, decoder = _decoder([Marker(str(path))])
    path.unlink()
    assert [one.is_valid() for one in decoder.externals] == [False]
    assert encoder.encode([Plain(1)]).externals == ()


def test_what_raises_when_asked_is_not_valid():
    assert Marker("").is_valid() is False


def test_a_hash_of_its_own_tells_values_apart(monkeypatch: pytest.MonkeyPatch):
    first = payload(Salted())
    monkeypatch.setattr(Salted, "salt", "b")
    assert payload(Salted()) != first


def test_get_hash_is_the_same_for_equal_states():
    assert Plain(1).get_hash() == Plain(1).get_hash() != Plain(2).get_hash()


def test_the_class_of_a_value_is_part_of_what_it_depends_on():
    encoded = Encoder(DEFAULT_FORMAT).encode([Plain(1)])
    assert encoded.code == (Plain,)
    assert _decoder([Plain(1)])[1].code == [Plain]


def test_methods_that_are_never_called_are_warned_about():
    with pytest.warns(UserWarning, match="preprocess is never called"):

        class Old(Value):
            def preprocess(self, preprocess_args: Any) -> Any:
                return self

    assert issubclass(Old, Value)


def test_a_name_that_cannot_be_one_is_refused():
    with pytest.raises(CodecError, match="call it yourtool"):

        class Wrong(Value):
            type_name = "a b"

    with pytest.raises(CodecError, match=r"acme\.Named' is the code of"):

        class Other(Value):
            type_name = "acme.Named"


# -- proxies ----------------------------------------------------------------------------------------------------------


def test_a_proxy_stores_values_of_a_class_of_others():
    decoded = round_trip([Foreign("x")])[0]
    assert (type(decoded), decoded.text) == (Foreign, "x")


def test_a_proxy_is_for_subclasses_too():
    decoded = round_trip(ForeignChild("x"))
    assert (type(decoded), decoded.text) == (ForeignChild, "x")
    assert payload(ForeignChild("x")) != payload(Foreign("x"))


def test_a_proxy_may_say_whether_a_value_holds():
    decoded, decoder = _decoder(decimal.Context(5))
    assert decoded.prec == 5
    (external,) = decoder.externals
    assert external.is_valid()
    again, _ = _decoder(external)  # as runs record what they depend on
    assert again.is_valid()
    assert not _decoder(decimal.Context(2))[1].externals[0].is_valid()


def test_what_has_a_form_of_its_own_gets_no_proxy():
    for kind in (int, list, dict, object, None.__class__):
        with pytest.raises(CodecError, match="a form that stays"):
            type("Wrong", (ProxyValue,), {"type": kind})


# -- the decorator ----------------------------------------------------------------------------------------------------


class Matrix:
    def __init__(self, rows: list[list[int]]) -> None:
        self.rows = rows

    def __reduce__(self) -> Any:
        raise TypeError("no")


@value_adapter(Matrix, code="tests.Matrix")
class MatrixAdapter:
    @staticmethod
    def encode(matrix: Matrix) -> Any:
        return matrix.rows

    @staticmethod
    def decode(state: Any) -> Matrix:
        return Matrix(state)


def test_the_decorator_makes_a_class_the_adapter_of_a_type():
    assert round_trip(Matrix([[1], [2]])).rows == [[1], [2]]
    assert line(Matrix([[1]])) == "Matrix([[1]])"
    assert MatrixAdapter.encode(Matrix([])) == []


def test_an_adapter_needs_both_methods():
    with pytest.raises(CodecError, match="no static method 'decode'"):

        @value_adapter(Matrix, code="tests.Matrix")  # type: ignore[type-var]
        class Half:
            encode = staticmethod(lambda matrix: matrix.rows)
