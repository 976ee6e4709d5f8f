"""Adapters of `decimal`, `fractions` and `statistics`."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist

from redun.core.adapters.registry import register

register(Decimal, "decimal.Decimal", lambda _, number: str(number), lambda _, state: Decimal(state))
register(
    Fraction,
    "fractions.Fraction",
    lambda _, number: [number.numerator, number.denominator],
    lambda _, state: Fraction(*state),
)
register(
    NormalDist,
    "statistics.NormalDist",
    lambda _, normal: [normal.mean, normal.stdev],
    lambda _, state: NormalDist(*state),
)
