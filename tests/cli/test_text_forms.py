"""Words of the command line for classes beyond numbers and times: of Python, of libraries and of the user."""

from __future__ import annotations

import collections.abc
import enum
import ipaddress
import math
import re
import zoneinfo
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import numpy as np
import pandas as pd
import pydantic
import pytest

from redun.cli.arguments import parameters_of
from redun.cli.task_help import task_help
from redun.core.tasks import Task
from redun.value import ProxyValue, Value
from tests.cli.test_arguments import complaint, given


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Model(pydantic.BaseModel):
    a: int
    b: str = "x"


class Numbers(pydantic.RootModel[list[int]]):
    pass


@attrs.define
class Attrs:
    x: int
    _y: str = "s"


class Name:
    """Made of one text."""

    def __init__(self, text: str, size: int = 3) -> None:
        self.text = text


class Sized:
    """Made of one number, which a word is not."""

    def __init__(self, size: int) -> None:
        self.size = size


class Meters(Value):
    def __init__(self, number: float) -> None:
        self.number = number

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        return cls(float(arg.removesuffix("m")))


class Foreign:
    """A class of others."""

    text = ""


class ForeignProxy(ProxyValue):
    type = Foreign

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        made = raw_type()
        made.text = arg
        return made


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "0x10", 16),
        (int, "-0b11", -3),
        (int, "1_000", 1000),
        (range, "3", range(3)),
        (range, "1:9:2", range(1, 9, 2)),
        (slice, ":3", slice(None, 3)),
        (re.Pattern, "a+", re.compile("a+")),
        (re.Pattern[str], "a+", re.compile("a+")),
        (zoneinfo.ZoneInfo, "Europe/Berlin", zoneinfo.ZoneInfo("Europe/Berlin")),
        (timezone, "+01:30", timezone(timedelta(minutes=90))),
        (timezone, "UTC", UTC),
        (datetime, "2026-01-01T00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        (ipaddress.IPv4Network, "10.0.0.0/8", ipaddress.ip_network("10.0.0.0/8")),
        (ipaddress.IPv6Interface, "::1/64", ipaddress.ip_interface("::1/64")),
        (np.dtype, "int32", np.dtype("int32")),
        (pd.Timestamp, "2020-01-01T01", pd.Timestamp("2020-01-01 01:00")),
        (pd.Timedelta, "2h", pd.Timedelta(hours=2)),
        (collections.abc.Callable, "math.sin", math.sin),
        (Callable[[float], float] | None, "math:sin", math.sin),
        (type, "collections.OrderedDict", OrderedDict),
        (type[int], "int", int),
        (Access, "READ|WRITE", Access.READ | Access.WRITE),
        (Model, '{"a": 1}', Model(a=1)),
        (list[Model], '[{"a": 1}]', [Model(a=1)]),
        (dict[str, Model], '{"k": {"a": 1}}', {"k": Model(a=1)}),
        (Numbers, "[1, 2]", Numbers([1, 2])),
        (Attrs, '{"x": 1, "y": "t"}', Attrs(1, "t")),
    ],
)
def test_a_word_is_read_as_the_class_is_written(annotation: Any, text: str, value: object) -> None:
    found = given(annotation, text)
    assert found == value
    assert type(found) is type(value)


def test_arrays_are_json() -> None:
    assert given(np.ndarray, "[[1, 2], [3, 4]]").tolist() == [[1, 2], [3, 4]]


def test_a_class_of_the_user_may_be_made_of_a_text() -> None:
    assert given(Name, "n").text == "n"
    assert [one.text for one in given(list[Name], '["a", "b"]')] == ["a", "b"]
    assert "has no text form" in complaint(Sized, "3")


def test_a_class_may_read_words_itself() -> None:
    assert given(Meters, "1.5m").number == 1.5
    assert given(Meters | None, "2").number == 2.0
    assert [one.number for one in given(list[Meters], "1m", "2m")] == [1.0, 2.0]


def test_a_proxy_reads_words_for_the_class_of_others() -> None:
    assert given(Foreign, "x").text == "x"


@pytest.mark.parametrize(
    ("annotation", "text", "message"),
    [
        (range, "a", "'a' is not a range (START:STOP:STEP is)"),
        (re.Pattern, "(", "'(' is not a Pattern (missing ), unterminated subpattern at position 0)"),
        (zoneinfo.ZoneInfo, "Nowhere/X", "'Nowhere/X' is not a ZoneInfo (Area/City is, such as Europe/Berlin)"),
        (timezone, "x", "'x' is not a timezone (UTC or an offset such as +01:00 is)"),
        (collections.abc.Callable, "math.no", "(module 'math' has no attribute 'no'; MODULE.NAME is)"),
        (collections.abc.Callable, "no_such.f", "(No module named 'no_such'; MODULE.NAME is)"),
        (type, "math.sin", "'math.sin' is not a type (that is a builtin_function_or_method)"),
        (Model, '{"b": 1}', "Model: a: Field required; b: Input should be a valid string"),
        (Attrs, "{}", "Attrs lacks its field 'x'"),
        (Meters, "far", "'far' is not a Meters (could not convert string to float: 'far')"),
        (np.dtype, "zz", "'zz' is not a dtype (data type 'zz' not understood)"),
        (Access, "READ|RUN", "'RUN' is none of READ, WRITE"),
    ],
)
def test_a_word_that_does_not_fit_says_what_would(annotation: Any, text: str, message: str) -> None:
    assert message in complaint(annotation, text)


def test_help_says_how_a_word_is_written() -> None:
    def function(
        span: timedelta,
        rows: range,
        model: Model,
        access: Access,
        call: Callable[[int], int],
        when: datetime | None = None,
    ) -> None: ...

    text = task_help("w.f", None, parameters_of(Task(function, {})), width=120)
    for line in (
        "timedelta, seconds or [D days,] HH:MM:SS",
        "range, STOP, START:STOP or START:STOP:STEP",
        "Model, a JSON object",
        "Access, one of READ, WRITE, joined by |",
        "Callable[..., int], MODULE.FUNCTION",
        "datetime | None, such as 2026-01-31T12:00 (default: None)",
    ):
        assert line in text
