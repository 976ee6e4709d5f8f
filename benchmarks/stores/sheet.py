"""A case as a sheet: a line a contestant, a column an operation; then the ratios, as lines of the common table."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from benchmarks import table
from benchmarks.measure import Figure

_NAME, _CELL = 50, 15


def sheet(
    columns: Mapping[str, str], rows: Mapping[str, str], cells: Mapping[tuple[str, str], Figure]
) -> Iterator[str]:
    """Returns the lines of a sheet.

    Args:
        columns: operation -> its title.
        rows: contestant -> its title.
        cells: (contestant, operation) -> figure.
    """
    shown = [name for name in columns if any(operation == name for _, operation in cells)]
    yield " " * _NAME + "".join(f"{columns[name]:>{_CELL}}" for name in shown) + f"{'spread':>8}"
    for who, title in rows.items():
        found = [cells.get((who, name)) for name in shown]
        if not any(found):
            continue
        line = "".join(f"{_cell(figure):>{_CELL}}" for figure in found)
        yield f"{title:<{_NAME}}{line}{_spread([figure for figure in found if figure is not None]):>8}"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    if not figure.cpu:
        return table.number(figure.median)
    return f"{table.number(figure.median)} ({table.number(statistics.median(figure.cpu))})"


def _spread(figures: Sequence[Figure]) -> str:
    """How far the rounds of a contestant lie apart, at most: (most - least) / median."""
    widest = max((max(f.values) - min(f.values)) / f.median for f in figures if f.cpu)
    return f"{100 * widest:.0f}%"
