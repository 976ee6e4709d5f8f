"""Durations and sizes as people write them: `30d`, `12h`, `500MB`, `2GiB`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    _Whole = click.ParamType[int]
else:
    _Whole = click.ParamType  # generic in newer versions only

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


def _parsed(text: str, units: dict[str, int]) -> int | None:
    found = _QUANTITY.fullmatch(text)
    unit = None if found is None else units.get(found[2].lower())
    return None if found is None or unit is None else round(float(found[1]) * unit)


class Duration(_Whole):
    """A number with a unit, as seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See `click.ParamType.convert`."""
        if isinstance(value, int):
            return value
        seconds = 0 if value == "now" else _parsed(value, _SECONDS)
        if seconds is None:
            self.fail(f"{value!r} is no duration; write 45m, 12h, 30d, 8w or 1y", param, ctx)
        return seconds


class Size(_Whole):
    """A number with a unit, as bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See `click.ParamType.convert`."""
        if isinstance(value, int):
            return value
        size = _parsed(value, _BYTES)
        if size is None:
            self.fail(f"{value!r} is no size; write 500MB, 20GB or 2GiB", param, ctx)
        return size


def size_text(size: int) -> str:
    """Returns a number of bytes with three digits and a decimal unit."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.5 or unit == "TB":
            break
    return f"{amount:.3g} {unit}"
