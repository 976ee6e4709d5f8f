"""Text for people: shortened, escaped, and laid out as the tutorial prints it."""

from __future__ import annotations

import pytest

from redun.cli.colors import painter, wants_color
from redun.cli.render import ARGUMENT_CHARS, call_text, duration_text, job_line, short_repr, shorten, status_table
from redun.core.history import TaskCount

PLAIN = painter(colored=False)


class Loud:
    def __repr__(self) -> str:
        return "\x1b[2Jloud\nsecond line"


class Broken:
    def __repr__(self) -> str:
        raise ValueError("no")


class Endless(list[int]):
    """A list that must not be walked: its repr is its own."""

    def __repr__(self) -> str:
        return "Endless()"


# -- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Hello", "'Hello'"),
        (b"\x00", "b'\\x00'"),
        (1, "1"),
        (1.5, "1.5"),
        (None, "None"),
        (True, "True"),
        ([], "[]"),
        ([1, "a"], "[1, 'a']"),
        ((1,), "(1,)"),
        ((1, 2), "(1, 2)"),
        ({"a": [1]}, "{'a': [1]}"),
        (set(), "set()"),
        ({1}, "{1}"),
        (frozenset({1}), "frozenset({1})"),
        (Endless(), "Endless()"),
    ],
)
def test_a_small_value_is_shown_as_its_repr(value: object, text: str) -> None:
    assert short_repr(value) == text


def test_a_value_that_is_too_long_ends_in_dots() -> None:
    text = short_repr(list(range(10**6)), 20)
    assert len(text) <= 20
    assert text.startswith("[0, 1, 2")
    assert text.endswith("...")


def test_a_long_text_is_cut_before_its_repr_is_made() -> None:
    assert len(short_repr("x" * 10**7, 30)) == 30


def test_a_huge_integer_is_shown_by_its_size() -> None:
    assert short_repr(1 << 10**6) == "<int of 1000001 bits>"


def test_a_deep_value_is_shown_to_a_depth() -> None:
    value: list[object] = []
    for _ in range(10_000):
        value = [value]
    assert short_repr(value) == "[[[[[[...]]]]]]"


def test_a_value_that_holds_itself_is_shown() -> None:
    value: list[object] = [1]
    value.append(value)
    assert short_repr(value).startswith("[1, [1, ")


def test_a_repr_of_several_lines_becomes_one_and_loses_its_terminal_codes() -> None:
    assert short_repr(Loud()) == "\\x1b[2Jloud second line"


def test_a_repr_that_raises_is_replaced() -> None:
    assert short_repr(Broken()) == "<Broken: its repr raised ValueError>"


def test_shorten_keeps_what_fits() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abc..."


# -- calls and lines --------------------------------------------------------------------------------------------------


def test_a_call_shows_names_and_values() -> None:
    assert call_text("a.f", [("x", 1), ("y", "b")]) == "a.f(x=1, y='b')"


def test_an_argument_without_a_name_is_shown_by_its_value() -> None:
    assert call_text("f", [("", 1), ("", 2), ("k", 3)]) == "f(1, 2, k=3)"


def test_a_long_argument_list_is_cut() -> None:
    text = call_text("f", [(f"name{i}", i) for i in range(10_000)])
    assert len(text) <= ARGUMENT_CHARS + len("f()") + 5
    assert text.endswith("...)")


def test_a_name_from_elsewhere_moves_no_cursor() -> None:
    assert call_text("a\x1b[A", [("\u202ex", "\r")]) == "a\\x1b[A(\\u202ex='\\r')"


def test_lines_of_jobs_have_the_tutorials_layout() -> None:
    job, key = "c5a729dc" + "0" * 24, "047bd6b3" + "0" * 24
    assert job_line(PLAIN, "Run", job, "m.f()") == "Run    Job c5a729dc:  m.f() on default"
    assert job_line(PLAIN, "Cached", job, "m.f()", key=key) == "Cached Job c5a729dc:  m.f() (eval_hash=047bd6b3)"
    assert job_line(PLAIN, "Reject", job, "m.f()") == "*** Reject Job c5a729dc:  m.f():"


def test_the_status_table_has_the_tutorials_layout() -> None:
    counts = [
        TaskCount("redun.examples.hello_world.main", cached=1),
        TaskCount("redun.examples.hello_world.get_planet", done=1),
        TaskCount("redun.examples.hello_world.greeter", pending=1),
    ]
    assert status_table(counts, "2021/06/18 07:23:15") == [
        "| JOB STATUS 2021/06/18 07:23:15",
        "| TASK                                  PENDING RUNNING  FAILED  CACHED    DONE   TOTAL",
        "| ",
        "| ALL                                         1       0       0       1       1       3",
        "| redun.examples.hello_world.get_planet       0       0       0       0       1       1",
        "| redun.examples.hello_world.greeter          1       0       0       0       0       1",
        "| redun.examples.hello_world.main             0       0       0       1       0       1",
    ]


def test_the_status_table_of_nothing_has_a_line_for_all() -> None:
    assert status_table([], "now")[-1] == "| ALL           0       0       0       0       0       0"


def test_numbers_wider_than_a_column_stay_apart() -> None:
    line = status_table([TaskCount("f", done=123_456_789)], "now")[-1]
    assert line.split()[-2:] == ["123456789", "123456789"]


def test_durations_have_two_decimals() -> None:
    assert duration_text(0.1399) == "0.14 seconds"


# -- colours ----------------------------------------------------------------------------------------------------------


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "environ", "terminal", "colored"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_the_option_wins_then_no_color_then_force_color_then_the_terminal(
    choice: str, environ: dict[str, str], terminal: bool, colored: bool
) -> None:
    stream = Terminal() if terminal else None
    assert wants_color(choice, stream, environ) is colored  # type: ignore[arg-type]


def test_painted_text_has_codes_and_plain_text_none() -> None:
    assert "\x1b[" in job_line(painter(colored=True), "Run", "0" * 32, "f()")
    assert "\x1b[" not in job_line(PLAIN, "Run", "0" * 32, "f()")
