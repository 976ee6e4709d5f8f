"""Value adapters that users register."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

from redun.core.adapters import registry
from redun.core.adapters.registry import register_adapter
from redun.core.codec import unpack
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotDecode, CodecError
from redun.core.limits import LEAF_BYTES
from redun.core.values import HANDLERS, Encoder


class Ring:
    """Numbers in a ring: equal however they are turned. It has no state that pickle could name."""

    __slots__ = ("_numbers",)

    def __init__(self, *numbers: int) -> None:
        least = numbers.index(min(numbers)) if numbers else 0
        self._numbers = numbers[least:] + numbers[:least]

    def __reduce__(self) -> Any:
        raise TypeError("a ring has no end")

    @property
    def numbers(self) -> tuple[int, ...]:
        """From the least on."""
        return self._numbers


class Image:
    """Bytes of any size."""

    def __init__(self, pixels: bytes) -> None:
        self.pixels = pixels

    def __reduce__(self) -> Any:
        raise TypeError("no")


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_KINDS", {})
    monkeypatch.setattr(registry, "_BY_CODE", dict(registry._BY_CODE))
    for kind in (Ring, Image):
        monkeypatch.delitem(HANDLERS, kind, raising=False)


def _ring() -> None:
    register_adapter(Ring, "tests.Ring", encode=lambda ring: list(ring.numbers), decode=lambda state: Ring(*state))


def test_values_of_the_type_are_stored_and_come_back() -> None:
    _ring()
    encoder = Encoder(DEFAULT_FORMAT)
    first, second = (encoder.encode({"ring": [ring]}).payload for ring in (Ring(3, 1, 2), Ring(1, 2, 3)))
    assert first == second
    decoder = Decoder(encoder.objects.__getitem__)
    assert decoder.decode(first)["ring"][0].numbers == (1, 2, 3)
    assert decoder.code == [Ring]


def test_a_large_state_is_kept_in_a_blob() -> None:
    register_adapter(Image, "tests.Image", encode=lambda image: image.pixels, decode=Image)
    encoder = Encoder(DEFAULT_FORMAT)
    payload = encoder.encode(Image(bytes(LEAF_BYTES + 1))).payload
    assert len(payload) < 100
    assert [kind for kind, _ in encoder.objects.values()] == ["blob"]
    assert Decoder(encoder.objects.__getitem__).decode(payload).pixels == bytes(LEAF_BYTES + 1)


def test_stored_bytes_name_the_code_and_not_the_class() -> None:
    _ring()
    payload = Encoder(DEFAULT_FORMAT).encode(Ring(1)).payload
    assert unpack(unpack(payload).data) == ["tests.Ring", [1]]
    assert b"test_register_adapter" not in payload


def test_without_the_adapter_a_value_is_not_decoded_and_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    _ring()
    payload = Encoder(DEFAULT_FORMAT).encode(Ring(1)).payload
    monkeypatch.setattr(registry, "_BY_CODE", {})
    with pytest.raises(CannotDecode, match=r"no adapter for values of type tests\.Ring"):
        Decoder({}.__getitem__).decode(payload)


@pytest.mark.parametrize("kind", [int, str, list, dict, tuple, frozenset, bytearray, type(None), OrderedDict, "Ring"])
def test_types_with_a_form_of_their_own_are_refused(kind: Any) -> None:
    with pytest.raises(CodecError, match="no type that an adapter"):
        register_adapter(kind, "tests.It", encode=lambda it: it, decode=lambda it: it)


@pytest.mark.parametrize("code", ["", "Ring", "tests.", "a b.c", "numpy.Ring", "builtins.complex", "tests.Ring\n"])
def test_codes_of_others_and_no_codes_are_refused(code: str) -> None:
    with pytest.raises(CodecError, match="not a code"):
        register_adapter(Ring, code, encode=lambda it: it, decode=lambda it: it)


def test_a_code_is_of_one_type_which_may_register_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _ring()
    _ring()
    take: Callable[[Any], Any] = lambda it: it  # noqa: E731
    with pytest.raises(CodecError, match=r"is the code of .*Ring already"):
        register_adapter(Image, "tests.Ring", encode=take, decode=take)
