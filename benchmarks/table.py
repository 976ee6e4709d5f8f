"""The table, as text and as a record."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Figure

_WIDTH = 66
HEADER = f"{'':<{_WIDTH}} {'median':>8} {'least':>8} {'most':>8} {'cpu':>8}  {'unit':<7} {'target':>9}  reached"


def number(value: float) -> str:
    """Returns a number in the three or four digits that mean something."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{digits}f}"


def line(figure: Figure) -> str:
    """Returns a figure as a line of the table, and its note as another."""
    cpu = number(statistics.median(figure.cpu)) if figure.cpu else ""
    target = "" if figure.target is None else f"{'>=' if figure.at_least else '<='} {number(figure.target)}"
    text = (
        f"{figure.what:<{_WIDTH}} {number(figure.median):>8} {number(min(figure.values)):>8} "
        f"{number(max(figure.values)):>8} {cpu:>8}  {figure.unit:<7} {target:>9}  {figure.verdict()}"
    ).rstrip()
    return f"{text}\n    {figure.note}" if figure.note else text


def summary(figures: Sequence[Figure]) -> str:
    """Returns how many targets are reached, and names those that are not."""
    judged = [figure for figure in figures if figure.target is not None]
    missed = [figure.what for figure in judged if figure.verdict() != "yes"]
    text = f"{len(judged) - len(missed)} of {len(judged)} targets are reached by the median"
    return text + ("; not: " + "; ".join(missed) if missed else "")


def record(path: Path, facts: Mapping[str, str], figures: Sequence[Figure], ratios: Mapping[str, float]) -> None:
    """Writes the table as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table: dict[str, Any] = {
        "facts": dict(facts),
        "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "figures": [_rounded(figure.record()) for figure in figures],
    }
    path.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return {key: _rounded(item) for key, item in value.items()} if isinstance(value, dict) else value
