"""Values to bytes and back, as the tests of adapters ask for it."""

from __future__ import annotations

from typing import Any

from redun.core import keys  # noqa: F401  it registers what can be stored
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.display import pretty, show
from redun.core.values import Encoder


def payload(value: Any) -> bytes:
    """Returns the canonical bytes of a value."""
    return Encoder(DEFAULT_FORMAT).encode(value).payload


def round_trip(value: Any) -> Any:
    """Returns what the bytes of a value are read as, having made sure that this has the same bytes again."""
    encoder = Encoder(DEFAULT_FORMAT)
    data = encoder.encode(value).payload
    decoded = Decoder(encoder.objects.__getitem__).decode(data)
    assert payload(decoded) == data, "what was read has other bytes"
    return decoded


def line(value: Any) -> str:
    """Returns a stored value as one line."""
    return show(payload(value))


def page(value: Any) -> list[str]:
    """Returns a stored value as several lines."""
    return pretty(payload(value)).split("\n")
