"""Durations and sizes on the command line."""

from __future__ import annotations

import click
import pytest

from redun.cli.units import Duration, Size, size_text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("45m", 2700), ("12h", 43_200), ("30d", 2_592_000), ("1.5h", 5400), ("now", 0)]
)
def test_a_duration_is_a_number_with_a_unit(text: str, seconds: int) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("10", 10), ("500MB", 500_000_000), ("2GiB", 2**31), ("1.5 kb", 1500), ("3T", 3 * 10**12)]
)
def test_a_size_is_a_number_with_a_unit(text: str, size: int) -> None:
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "d", "3x", "-3d", "1e3s", "3 days"])
def test_other_words_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 45m"):
        Duration().convert(text, None, None)
    with pytest.raises(click.BadParameter, match="write 500MB"):
        Size().convert(text + "z", None, None)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (999_600, "1 MB"),
        (5 * 10**9, "5 GB"),
        (10**16, "1e+04 TB"),
    ],
)
def test_sizes_have_three_digits(size: int, text: str) -> None:
    assert size_text(size) == text
