"""Durations and sizes as people write them: `30d`, `12h`, `500MB`, `2GiB`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from redun.core.quantities import bytes_of, seconds_of

if TYPE_CHECKING:
    _Whole = click.ParamType[int]
else:
    _Whole = click.ParamType  # generic in newer versions only


class Duration(_Whole):
    """A number with a unit, as seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See `click.ParamType.convert`."""
        if isinstance(value, int):
            return value
        seconds = 0 if value == "now" else seconds_of(value)
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
        size = bytes_of(value)
        if size is None:
            self.fail(f"{value!r} is no size; write 500MB, 20GB or 2GiB", param, ctx)
        return size


def count_text(number: int, one: str, many: str = "") -> str:
    """Returns a number and what there is of it: `1 object`, `2,000 objects`.

    Args:
        many: the plural, where that is not `one` and an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


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
