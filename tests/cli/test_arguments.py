"""Arguments of a task from the words of a command line."""
# ruff: noqa: UP007, UP045 - people write unions in both ways

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, Union

import pytest

from redun.cli.arguments import Arguments, Request, parameters_of, parse_arguments
from redun.cli.exits import UsageError
from redun.cli.task_help import task_help
from redun.core.files.file import ContentFile, File, IFile
from redun.core.files.sets import ContentDir, ContentFileSet, Dir, FileSet, IDir, IFileSet
from redun.core.job_info import JobInfo
from redun.core.tasks import Task


class Color(enum.Enum):
    RED = "r"
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Inner:
    names: list[str] = field(default_factory=list)


@dataclass
class Point:
    x: int
    y: float = 0.5
    inner: Inner | None = None


@dataclass
class Positive:
    n: int

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError("n is negative")


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Movie(TypedDict, total=False):
    name: str


Meters = NewType("Meters", float)


class Opaque:
    """Has no text form."""


def parse(function: Callable[..., Any], *words: str, **more: Any) -> Arguments:
    return parse_arguments("w.f", parameters_of(Task(function, {})), words, **more)


def given(annotation: Any, *texts: str) -> Any:
    """The value that `--x TEXT` (repeated) has for a parameter of that annotation."""

    def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    return parse(function, *(word for text in texts for word in ("--x", text))).kwargs["x"]


def complaint(annotation: Any, *texts: str) -> str:
    with pytest.raises(UsageError) as raised:
        given(annotation, *texts)
    return raised.value.message


# -- one word ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "Hi", "Hi"),
        (str, "", ""),
        (str, "--thing", "--thing"),
        (str, "1", "1"),
        (int, "-5", -5),
        (float, "2", 2.0),
        (float, "1e3", 1000.0),
        (complex, "1+2j", 1 + 2j),
        (bool, "false", False),
        (bool, "YES", True),
        (bytes, "ab", b"ab"),
        (Path, "/tmp/x", Path("/tmp/x")),
        (Decimal, "1.50", Decimal("1.50")),
        (Fraction, "1/3", Fraction(1, 3)),
        (uuid.UUID, "12345678123456781234567812345678", uuid.UUID("12345678123456781234567812345678")),
        (date, "2026-01-02", date(2026, 1, 2)),
        (datetime, "2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5)),
        (timedelta, "90", timedelta(seconds=90)),
        (timedelta, "1:30:00", timedelta(hours=1, minutes=30)),
        (timedelta, "2 days, 3:00:00", timedelta(days=2, hours=3)),
        (Color, "RED", Color.RED),
        (Color, "r", Color.RED),
        (Color, "2", Color.BLUE),
        (Level, "LOW", Level.LOW),
        (Level, "1", Level.LOW),
        (Literal["a", 3], "a", "a"),
        (Literal["a", 3], "3", 3),
        (Meters, "1.5", 1.5),
        (Annotated[int, "a count"], "5", 5),
        (Optional[int], "5", 5),
        (Optional[int], "none", None),
        (int | None, "null", None),
        (None | int, "5", 5),
        (str | None, "none", "none"),
        (Optional[Path], "none", Path("none")),
        (int | str, "5", 5),
        (str | int, "5", 5),
        (str | int, "x", "x"),
        (Union[float, int], "5", 5),
        (Union[str, float], "1.5", 1.5),
        (Color | None, "RED", Color.RED),
        (Any, "hello", "hello"),
        (Any, '{"a": [1, null]}', {"a": [1, None]}),
        (Any, "NaN", "NaN"),
        (object, "5", 5),
    ],
)
def test_a_word_is_read_as_the_annotation_says(annotation: Any, text: str, value: object) -> None:
    found = given(annotation, text)
    assert found == value
    assert type(found) is type(value)


def test_a_file_is_made_of_its_path(tmp_path: Path) -> None:
    found = given(File, str(tmp_path / "x"))
    assert type(found) is File
    assert given(File | None, "none").path.endswith("none")


@pytest.mark.parametrize(
    "kind",
    [File, ContentFile, IFile, FileSet, Dir, ContentFileSet, ContentDir, IFileSet, IDir],
    ids=lambda k: k.__name__,
)
def test_files_and_sets_of_files_are_paths(kind: Any) -> None:
    assert given(kind, "./data") == kind("data")
    assert given(list[kind], "a", '["b", "c"]') == [kind("a"), kind("b"), kind("c")]
    assert given(kind | None, "none") == kind("none")
    assert given(dict[str, kind], '{"a": "b"}') == {"a": kind("b")}


@pytest.mark.parametrize("kind", [File, Dir, list[File]], ids=str)
def test_a_url_of_a_scheme_that_nobody_knows_is_no_argument(kind: Any) -> None:
    with pytest.raises(UsageError, match="no filesystem for foo://"):
        given(kind, "foo://x")


def test_numpy_scalars_are_read() -> None:
    numpy = pytest.importorskip("numpy")
    assert given(numpy.int64, "5") == numpy.int64(5)
    assert type(given(numpy.float32, "5")) is numpy.float32


@pytest.mark.parametrize(
    ("annotation", "text", "message"),
    [
        (int, "abc", "--x: 'abc' is not an int (w.f)"),
        (int, "1.5", "--x: '1.5' is not an int (w.f)"),
        (Optional[int], "abc", "--x: 'abc' is not an int (w.f)"),
        (Union[int, date], "abc", "--x: 'abc' is not an int | date (w.f)"),
        (Color, "green", "--x: 'green' is none of RED, BLUE (w.f)"),
        (Literal["a", 3], "b", "--x: 'b' is none of a, 3 (w.f)"),
        (dict[str, int], '{"a": "b"}', "--x: 'b' is not an int (w.f)"),
        (list[int], '[1, "a"]', "--x: 'a' is not an int (w.f)"),
        (Point, '{"y": 1}', "--x: Point lacks its field 'x' (w.f)"),
        (Point, '{"x": 1, "z": 2}', "--x: Point has no field 'z', only x, y, inner (w.f)"),
        (Point, "5", "--x: '5' is not a Point (a JSON object with x, y, inner is) (w.f)"),
        (Positive, '{"n": -1}', "--x: Positive: n is negative (w.f)"),
        (tuple[int, str], "[1]", "--x: tuple[int, str] wants 2 items, not 1 (w.f)"),
        (set[Any], "[[1]]", "--x: set[Any]: unhashable type: 'list' (w.f)"),
        (Opaque, "x", "--x: an Opaque has no text form, so it cannot be given on the command line (w.f)"),
    ],
)
def test_a_word_that_does_not_fit_is_one_line_with_parameter_type_and_text(
    annotation: Any, text: str, message: str
) -> None:
    assert complaint(annotation, text) == message


def test_a_complaint_repeats_no_more_of_a_long_text_than_a_line_holds() -> None:
    assert len(complaint(int, "x" * 10**6)) < 200


def test_broken_json_says_where_it_breaks() -> None:
    assert "'{a: 1}' is not a dict[str, int] (not JSON: Expecting property name" in complaint(dict[str, int], "{a: 1}")


# -- containers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "texts", "value"),
    [
        (list[int], ["1", "2"], [1, 2]),
        (list[int], ["[1, 2]", "3"], [1, 2, 3]),
        (list[int], ["[]"], []),
        (list[int] | None, ["1", "2"], [1, 2]),
        (list[str], ["a", "b"], ["a", "b"]),
        (list[str], ["[a"], ["[a"]),
        (list[str], ['["a", "b"]'], ["a", "b"]),
        (list[Path], ["a"], [Path("a")]),
        (list[Color], ["RED", '["BLUE", 2]'], [Color.RED, Color.BLUE, Color.BLUE]),
        (list, ["1", "a"], [1, "a"]),
        (list[list[int]], ["[1, 2]", "[[3], []]"], [[1, 2], [3], []]),
        (Sequence[int], ["1"], [1]),
        (set[int], ["1", "1"], {1}),
        (frozenset[str], ["a"], frozenset({"a"})),
        (tuple[int, ...], ["1", "2"], (1, 2)),
        (tuple[int, str], ['[1, "b"]'], (1, "b")),
        (tuple[int, str], ["1", "b"], (1, "b")),
        (dict, ['{"a": 1}'], {"a": 1}),
        (dict[str, Path], ['{"a": "p"}'], {"a": Path("p")}),
        (dict[int, float], ['{"1": 2}'], {1: 2.0}),
        (Mapping[str, list[int]], ['{"a": [1]}'], {"a": [1]}),
        (Point, ['{"x": 1}'], Point(1)),
        (Point, ['{"x": 1, "inner": {"names": ["a"]}}'], Point(1, 0.5, Inner(["a"]))),
        (list[Point], ['{"x": 1}', '[{"x": 2}]'], [Point(1), Point(2)]),
        (Pair, ['{"left": 1}'], Pair(1)),
        (Pair, ['[1, "x"]'], Pair(1, "x")),
        (Movie, ['{"name": "x"}'], {"name": "x"}),
        (int, ["1", "2"], 2),
    ],
)
def test_containers_are_json_or_repeated(annotation: Any, texts: list[str], value: object) -> None:
    found = given(annotation, *texts)
    assert found == value
    assert type(found) is type(value)


# -- names ------------------------------------------------------------------------------------------------------------


def test_underscores_may_be_written_as_hyphens() -> None:
    def function(under_score_NAME: int) -> None: ...  # noqa: N803 - that is the point

    for option in ("--under_score_NAME", "--under-score-NAME", "--under-score_NAME"):
        assert parse(function, option, "5").kwargs == {"under_score_NAME": 5}
    assert parse(function, "--under-score-NAME=5").kwargs == {"under_score_NAME": 5}


def test_what_a_job_is_told_of_itself_is_no_option() -> None:
    def told(x: int, info: JobInfo = JobInfo()) -> None: ...  # noqa: B008

    assert [parameter.name for parameter in parameters_of(Task(told, {}))] == ["x"]


def test_names_are_never_cut_short() -> None:
    def function(setup: str = "") -> None: ...

    with pytest.raises(UsageError, match="no option --s in"):
        parse(function, "--s", "hi")


def test_parameters_may_be_named_like_options_of_the_command() -> None:
    def function(store: str, no_cache: bool, help: str, verbose: int, json: bool = False, h: int = 0) -> None: ...  # noqa: A002

    words = ["--store", "s", "--no-cache", "--help", "h", "--verbose", "3", "--json", "--h", "1"]
    found = parse(function, *words, elsewhere=["--no-cache", "--json", "--store"])
    assert found.kwargs == {"store": "s", "no_cache": True, "help": "h", "verbose": 3, "json": True, "h": 1}


def test_an_unknown_option_names_the_closest() -> None:
    def function(greet: str, thing: str) -> None: ...

    with pytest.raises(UsageError) as raised:
        parse(function, "--gret", "x")
    assert raised.value.message == "no option --gret in w.f"
    assert raised.value.hint == "did you mean --greet?"


def test_an_option_of_the_command_after_the_task_is_told_its_place() -> None:
    def function(x: int = 0) -> None: ...

    with pytest.raises(UsageError) as raised:
        parse(function, "--no-cache", elsewhere=["--no-cache"])
    assert "goes before the file" in raised.value.hint


def test_missing_arguments_are_all_named_with_their_types() -> None:
    def function(a: int, b: list[str], *, c: Color, d: int = 0) -> None: ...

    with pytest.raises(UsageError, match=r"w\.f needs --a \(int\), --b \(list\[str\]\), --c \(Color\)"):
        parse(function)


def test_an_option_without_its_value_is_refused() -> None:
    def function(x: int = 0) -> None: ...

    with pytest.raises(UsageError, match=r"--x needs a value \(int\)"):
        parse(function, "--x")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--names", "a", "b", "c"], ["a", "b", "c"]),
        (["--names", "a", "b", "--names", "c"], ["a", "b", "c"]),
        (["--names", "a", "-1", "--n", "2"], ["a", "-1"]),
        (["--names", '["a", "b"]', "--n", "2"], ["a", "b"]),
        (["--names=a"], ["a"]),
    ],
)
def test_several_words_may_follow_the_option_of_a_list(words: list[str], value: list[str]) -> None:
    def function(names: list[str], n: int = 2) -> None: ...

    assert parse(function, *words).kwargs == {"names": value} | ({"n": 2} if "--n" in words else {})


def test_no_word_follows_a_value_that_is_attached_to_the_option_of_a_list() -> None:
    def function(names: list[str]) -> None: ...

    with pytest.raises(UsageError, match="'b' is one word too many"):
        parse(function, "--names=a", "b")


def test_where_a_function_takes_words_they_do_not_belong_to_an_option_before_them() -> None:
    def function(*words: str, names: list[str]) -> None: ...

    found = parse(function, "--names", "a", "b", "c")
    assert (found.args, found.kwargs) == (("b", "c"), {"names": ["a"]})


def test_a_word_too_many_is_refused() -> None:
    def function(x: int = 0) -> None: ...

    with pytest.raises(UsageError) as raised:
        parse(function, "5")
    assert raised.value.message == "'5' is one word too many for w.f"
    assert raised.value.hint == "its arguments are given by name: --x"


def test_the_old_separator_before_options_is_passed_over() -> None:
    def function(s: str = "") -> None: ...

    assert parse(function, "--", "--s", "hi").kwargs == {"s": "hi"}


# -- flags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--flag"], True),
        (["--no-flag"], False),
        (["--flag", "false"], False),
        (["--flag=no"], False),
        (["--flag", "TRUE"], True),
        (["--no-flag", "--flag"], True),
    ],
)
@pytest.mark.parametrize("annotation", [bool, Optional[bool]])
def test_flags(words: list[str], value: bool, annotation: Any) -> None:
    def function(flag: bool = True) -> None: ...

    function.__annotations__["flag"] = annotation
    assert parse(function, *words).kwargs == {"flag": value}


def test_a_negated_flag_takes_no_value() -> None:
    def function(flag: bool = True) -> None: ...

    with pytest.raises(UsageError) as raised:
        parse(function, "--no-flag=false")
    assert raised.value.hint == "write --flag=false"


def test_a_parameter_whose_own_name_is_a_negation_wins() -> None:
    def function(flag: bool = True, no_flag: str = "") -> None: ...

    assert parse(function, "--no-flag", "x").kwargs == {"no_flag": "x"}


# -- *args and **kwargs -----------------------------------------------------------------------------------------------


def variadic(a: int, b: int = 2, /, c: int = 3, *args: int, flag: bool = False, **kw: float) -> None: ...


@pytest.mark.parametrize(
    ("words", "args", "kwargs"),
    [
        (["--a", "1"], (1,), {}),
        (["--a", "1", "--c", "4"], (1,), {"c": 4}),
        (["--a", "1", "-5", "6"], (1, 2, 3, -5, 6), {}),
        (["--a", "1", "--c", "9", "7"], (1, 2, 9, 7), {}),
        (["--a", "1", "--flag", "8"], (1, 2, 3, 8), {"flag": True}),
        (["--a", "1", "--", "8"], (1, 2, 3, 8), {}),
        (["--a", "1", "--k", "2.5", "--z-y=3"], (1,), {"k": 2.5, "z_y": 3.0}),
    ],
)
def test_words_and_further_options(words: list[str], args: tuple[int, ...], kwargs: dict[str, Any]) -> None:
    found = parse(variadic, *words)
    assert found == Arguments(Request.CALL, args, kwargs, words)
    Task(variadic, {})(*found.args, **found.kwargs)


def test_words_of_args_are_read_as_annotated() -> None:
    with pytest.raises(UsageError, match="args: 'x' is not an int"):
        parse(variadic, "--a", "1", "x")
    with pytest.raises(UsageError, match="--k: 'x' is not a float"):
        parse(variadic, "--a", "1", "--k", "x")


# -- annotations that are no types, and none at all --------------------------------------------------------------------


def test_without_an_annotation_the_default_tells() -> None:
    def function(a, b=1, c="x", d=None, e=False, f=(1,)) -> None: ...  # type: ignore[no-untyped-def]

    found = parse(function, "--a", "5", "--b", "6", "--c", "7", "--d", "8", "--e", "--f", "9")
    assert found.kwargs == {"a": 5, "b": 6, "c": "7", "d": 8, "e": True, "f": (9,)}


def test_an_annotation_that_names_nothing_is_any_and_spoils_no_other() -> None:
    def function(a: Missing, b: int = 0) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert parse(function, "--a", "x", "--b", "5").kwargs == {"a": "x", "b": 5}


def test_a_default_of_none_admits_none() -> None:
    def function(n: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013 - people write that

    assert parse(function, "--n", "none").kwargs == {"n": None}


def test_a_default_is_left_to_the_task() -> None:
    def function(x: list[int] = [1], y: Any = object()) -> None: ...  # noqa: B006, B008

    assert parse(function).kwargs == {}


# -- help -------------------------------------------------------------------------------------------------------------


def test_help_and_info_are_asked_for_in_four_ways() -> None:
    def function(x: int) -> None: ...

    for words in (["help"], ["--help"], ["-h"], ["--x", "1", "help"]):
        assert parse(function, *words).request is Request.HELP
    assert parse(function, "info").request is Request.INFO


def test_help_among_words_of_args_is_one_of_them() -> None:
    def function(*args: str) -> None: ...

    assert parse(function, "help").request is Request.HELP
    assert parse(function, "help", "me").args == ("help", "me")
    assert parse(function, "x", "help").args == ("x", "help")


def test_help_of_the_tutorials_task() -> None:
    def main(greet: str = "Hello") -> str:
        return greet

    task = Task(main, {"namespace": "redun.examples.hello_world"})
    assert task_help(task.fullname, task.__doc__, parameters_of(task)) == (
        "usage: redun.examples.hello_world.main [-h] [--greet GREET] [{help,info}]\n"
        "\n"
        "positional arguments:\n"
        "  {help,info}\n"
        "    help                  Show help for calling a task.\n"
        "    info                  Show task information.\n"
        "\n"
        "optional arguments:\n"
        "  -h, --help              show this help message and exit\n"
        "  --greet GREET           str (default: Hello)"
    )


def test_help_shows_docstring_types_choices_and_defaults() -> None:
    def function(
        count: int,
        *files: Path,
        color: Color = Color.RED,
        flag: bool = True,
        tags: list[str] | None = None,
        point: Point = Point(1),  # noqa: B008 - a default that is a value
        empty: str = "",
        **rest: float,
    ) -> None:
        """Counts.

        In two lines.
        """

    task = Task(function, {})
    text = task_help("w.f", task.__doc__, parameters_of(task), width=100)
    assert "\n\nCounts.\n\nIn two lines.\n\n" in text
    for line in (
        "  FILES ...               Path",
        "required arguments:\n  --count COUNT           int",
        "  --color COLOR           Color, one of RED, BLUE (default: <Color.RED: 'r'>)",
        "  --flag, --no-flag       bool (default: True)",
        "  --tags TAGS             list[str] | None, several words, or a JSON array (default: None)",
        "  --point POINT           Point, a JSON object (default: Point(x=1, y=0.5, inner=None))",
        "  --empty EMPTY           str (default: '')",
        "  --NAME VALUE            float, any further names",
    ):
        assert line in text.splitlines() or line in text
