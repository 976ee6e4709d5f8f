"""Durations and sizes as people write them: `30d`, `12h`, `500MB`, `2GiB`."""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}
_BYTES: Final = {
    "": 1,
    "b": 1,
    "k": 10**3,
    "kb": 10**3,
    "m": 10**6,
    "mb": 10**6,
    "g": 10**9,
    "gb": 10**9,
    "t": 10**12,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_QUANTITY: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)


def seconds_of(text: str) -> int | None:
    """Returns a duration in seconds, or None if the text is none."""
    return _parsed(text, _SECONDS)


def bytes_of(text: str) -> int | None:
    """Returns a size in bytes, or None if the text is none."""
    return _parsed(text, _BYTES)


def _parsed(text: str, units: dict[str, int]) -> int | None:
    found = _QUANTITY.fullmatch(text)
    unit = None if found is None else units.get(found[2].lower())
    return None if found is None or unit is None else round(float(found[1]) * unit)
