"""How results are laid out."""

from __future__ import annotations

from pprint import pformat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.cli.results import result_text

SIMPLE = st.none() | st.booleans() | st.integers() | st.floats()


@given(st.lists(SIMPLE, max_size=300) | st.lists(st.integers(-9, 9), min_size=35, max_size=45))
def test_a_list_of_numbers_is_laid_out_as_pprint_does(values: list[object]) -> None:
    assert result_text(values) == pformat(values, width=80, sort_dicts=False) + "\n"


@pytest.mark.parametrize(
    "value", [[], [1], {"a": [1, 2]}, (1,), list(range(45)), [["x" * 90], {"b": "y z " * 40}]], ids=str
)
def test_others_are_laid_out_by_pprint(value: object) -> None:
    assert result_text(value) == pformat(value, width=80, sort_dicts=False) + "\n"


def test_a_result_of_very_many_items_is_printed_on_one_line() -> None:
    values = [[number] for number in range(6_000)]
    assert result_text(values) == f"{values}\n"
