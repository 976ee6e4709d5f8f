from __future__ import annotations

import textwrap
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from redun.core.errors import RunError
from redun.executor.failures import causes, summary, trace_of


def _caught(function: Any, *args: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011  any of them
        function(*args)
    return caught.value


def _fail() -> None:
    raise ValueError("bad")


def _deeper(depth: int) -> None:
    if depth:
        _deeper(depth - 1)
    raise ValueError("deep")


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_a_traceback_has_the_frames_of_the_user_with_their_lines():
    record = trace_of(_caught(_fail))
    assert record.summary == "ValueError: bad"
    last = record.frames[-1]
    assert (last.function, last.text, last.file) == ("_fail", 'raise ValueError("bad")', __file__)
    assert record.notes == ()


def test_the_engines_own_frames_are_left_out(tmp_path: Path):
    from redun.executor.pools.contract import Work
    from redun.executor.pools.threads import ThreadPool

    ((answer,), _) = ThreadPool(1, SimpleQueue()).run_here([Work(0, _fail, (), {})])
    assert [frame.function for frame in trace_of(answer.value).frames] == ["_fail"]


def test_a_long_recursion_keeps_both_its_ends():
    record = trace_of(_caught(_deeper, 500))
    assert len(record.frames) == 201
    assert any("more" in frame.function for frame in record.frames)
    assert record.frames[-1].text == 'raise ValueError("deep")'


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (ValueError(), "ValueError"),
        (ValueError("two\nlines"), "ValueError: two\nlines"),
        (KeyError("k"), "KeyError: 'k'"),
        (RunError("stopped", hint="go on"), "redun.core.errors.RunError: stopped (go on)"),
        (Wordless(), None),
        (ExceptionGroup("g", [ValueError(1)]), "ExceptionGroup: g (1 sub-exception)"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_a_summary_is_worded_as_python_words_it(error: BaseException, text: str | None):
    assert summary(error) == text if text is not None else "Wordless" in summary(error)


def test_a_syntax_error_is_summed_up_by_what_it_is():
    error = _caught(compile, textwrap.dedent("x = = 1"), "f.py", "exec")
    assert summary(error).startswith("SyntaxError: ")


def test_notes_are_kept_apart_from_the_summary():
    error = ValueError("bad")
    error.add_note("first\nsecond")
    error.add_note("third")
    assert summary(error) == "ValueError: bad"
    assert trace_of(error).notes == ("first\nsecond", "third")


class Unsayable:
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("notes", [None, 5, ["note", 3], "text", [Unsayable()]])
def test_strange_notes_do_no_harm(notes: Any):
    error = ValueError("bad")
    error.__notes__ = notes  # type: ignore[attr-defined]
    record = trace_of(error)
    assert record.summary.startswith("ValueError")
    assert all(type(note) is str for note in record.notes)


def test_causes_are_followed_newest_first():
    def chained() -> None:
        try:
            try:
                _fail()
            except ValueError:
                raise KeyError("while handling")  # noqa: B904  the context is what this is about
        except KeyError as error:
            raise RuntimeError("from") from error

    assert [type(error) for error in causes(_caught(chained))] == [RuntimeError, KeyError, ValueError]


def test_a_cause_that_was_denied_is_not_told():
    def denied() -> None:
        try:
            _fail()
        except ValueError:
            raise KeyError("k") from None

    assert [type(error) for error in causes(_caught(denied))] == [KeyError]


def test_a_ring_of_causes_ends():
    one, two = ValueError(1), ValueError(2)
    one.__cause__, two.__cause__ = two, one
    assert causes(one) == [one, two]
    one.__cause__ = one
    assert causes(one) == [one]
