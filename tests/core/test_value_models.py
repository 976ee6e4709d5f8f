"""Models of pydantic and attrs come back as they were, by their fields and without being validated again."""

from __future__ import annotations

import datetime as dt
import typing
from typing import Any

import attrs
import pydantic
import pytest

from redun.core.decoding import Decoder
from redun.core.errors import CannotDecode, CannotEncode
from tests.core.round_trips import line, payload, round_trip

T = typing.TypeVar("T")


class Model(pydantic.BaseModel):
    a: int
    b: list[str] = []
    _private: int = pydantic.PrivateAttr(default=3)


class Extra(pydantic.BaseModel, extra="allow"):
    a: int


class Frozen(pydantic.BaseModel, frozen=True):
    a: int


class Numbers(pydantic.RootModel[list[int]]):
    pass


class Generic(pydantic.BaseModel, typing.Generic[T]):
    x: T


IntGeneric = Generic[int]


class Tree(pydantic.BaseModel):
    model: Model
    when: dt.datetime
    child: Tree | None = None


class Secretive(pydantic.BaseModel):
    password: pydantic.SecretStr


@pydantic.dataclasses.dataclass
class Checked:
    a: int = 1


@attrs.define
class Attrs:
    x: int
    y: list[Any] = attrs.field(factory=list)


@attrs.frozen
class AttrsFrozen:
    x: int


@attrs.define(slots=False)
class AttrsDict:
    x: int


@attrs.define(cache_hash=True, frozen=True)
class AttrsHashed:
    x: int


MODELS: list[Any] = [
    Model(a=1),
    Model(a=1, b=["x"]),
    Extra(a=1, z=2),  # type: ignore[call-arg]  # what is allowed
    Frozen(a=1),
    Numbers([1, 2]),
    IntGeneric(x=1),
    Generic(x="s"),
    Tree(model=Model(a=1), when=dt.datetime(2020, 1, 1), child=Tree(model=Model(a=2), when=dt.datetime(2020, 1, 1))),
    Checked(2),
    Attrs(1, [2]),
    AttrsFrozen(1),
    AttrsDict(1),
    AttrsHashed(1),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_models_come_back_as_they_were(model: Any):
    decoded = round_trip([model])[0]
    assert type(decoded) is type(model)
    assert decoded == model
    assert repr(decoded) == repr(model)


def test_private_attributes_and_the_fields_that_were_given_come_back():
    decoded = round_trip(Model(a=1))
    assert (decoded._private, decoded.model_fields_set) == (3, {"a"})
    assert payload(Model(a=1)) != payload(Model(a=1, b=[]))


def test_models_may_be_hashed_after_they_were_read():
    assert hash(round_trip(AttrsHashed(1))) == hash(AttrsHashed(1))
    assert hash(round_trip(Frozen(a=1))) == hash(Frozen(a=1))


def test_what_is_secret_is_not_stored_in_the_open():
    with pytest.raises(CannotEncode, match="would be stored in the open") as caught:
        payload({"m": Secretive(password=pydantic.SecretStr("hush"))})
    assert "redun.Secret" in caught.value.hint


@pytest.mark.parametrize("kind", [Model, Attrs])
def test_a_model_whose_class_has_another_field_now_cannot_be_made(kind: Any, monkeypatch: pytest.MonkeyPatch):
    data = payload(kind(1) if kind is Attrs else kind(a=1))
    if kind is Attrs:
        larger = attrs.make_class("Attrs", ["x", "y", "z"])
    else:
        larger = pydantic.create_model("Model", __base__=Model, z=(int, ...))
    larger.__module__, larger.__qualname__ = kind.__module__, kind.__qualname__
    monkeypatch.setattr(f"{__name__}.{kind.__name__}", larger)
    with pytest.raises(CannotDecode, match=r"fields of .* have changed"):
        Decoder({}.__getitem__).decode(data)


def test_models_are_shown_by_their_fields():
    assert line(Model(a=1)) == "Model(a=1, b=[], _private=3)"
    assert line(Extra(a=1, z=2)) == "Extra(a=1, z=2)"  # type: ignore[call-arg]  # what is allowed
    assert line(Attrs(1, [2])) == "Attrs(x=1, y=[2])"
