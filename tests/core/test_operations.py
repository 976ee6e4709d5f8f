"""The operations between bodies: what they compute, and which of them depend on nothing but their operands."""

from __future__ import annotations

import datetime as dt
import operator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from redun.core.expressions import Expression
from redun.core.files.file import File
from redun.core.files.sets import Dir, FileSet
from redun.core.operations import OPERATIONS, is_pure


class Pair(NamedTuple):
    a: int = 1
    b: int = 2

    @property
    def total(self) -> int:
        return self.a + self.b


class CountedPair(Pair):
    def __getitem__(self, item: Any) -> Any:
        return 5


@dataclass
class Data:
    a: int = 1

    @property
    def twice(self) -> int:
        return self.a * 2

    @cached_property
    def slow(self) -> int:
        return self.a

    def method(self) -> int:
        return self.a


@dataclass
class Watched(Data):
    def __getattribute__(self, name: str) -> Any:
        return 7


class Mine(File):
    pass


class Box:
    def __add__(self, other: Any) -> int:
        return 1


def test_every_operator_of_an_expression_is_there():
    reflected = {name[1:] for name in ("radd",)}
    names = {name.strip("_") for name in vars(Expression) if name.startswith("__")}
    lazy = {name for name in names if name in OPERATIONS} | reflected
    assert lazy >= set(OPERATIONS) - {"call", "getattr"}
    assert {"call", "getattr"} <= set(OPERATIONS)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"and", "or", "call", "getattr", "abs", "round"}))
def test_operators_compute_as_python_does(name: str):
    function = getattr(operator, name, None)
    operands: tuple[Any, ...] = (7,) if name in ("neg", "pos", "invert") else (7, 3)
    if name == "getitem":
        operands = ([7], 0)
    if name == "matmul":
        operands = (np.ones((2, 2)), np.ones((2, 2)))
    assert function is not None
    assert np.array_equal(OPERATIONS[name](*operands), function(*operands))


@pytest.mark.parametrize("a", [0, 1, "", "x", None, [], [1]])
@pytest.mark.parametrize("b", [0, 2, "", "y"])
def test_and_and_or_choose_as_the_words_do(a: Any, b: Any):
    assert OPERATIONS["and"](a, b) is (a and b)
    assert OPERATIONS["or"](a, b) is (a or b)


def test_abs_round_attributes_and_calls():
    assert OPERATIONS["abs"](-2) == 2
    assert OPERATIONS["round"](2.56, 1) == 2.6
    assert OPERATIONS["getattr"]("a", "upper")() == "A"
    assert OPERATIONS["call"]("a{}{k}".format, (1,), {"k": 2}) == "a12"


PURE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "numbers": ("add", (1, 2.5)),
    "text": ("mod", ("%s", "a")),
    "lists": ("add", ([1], [2])),
    "items": ("getitem", ({"a": 1}, "a")),
    "slices": ("getitem", ([1, 2], slice(1))),
    "moments": ("sub", (dt.datetime(2024, 1, 1), dt.datetime(2023, 1, 1))),
    "decimals": ("add", (Decimal(1), Decimal(2))),
    "arrays": ("mul", (np.ones(2), 2)),
    "item of an array": ("getitem", (np.ones(2), 0)),
    "field of a named tuple": ("getattr", (Pair(), "a")),
    "item of a named tuple": ("getitem", (Pair(), 0)),
    "field of a dataclass": ("getattr", (Data(), "a")),
    "method of text": ("getattr", ("a", "upper")),
    "call of a method of text": ("call", ("a".upper, (), {})),
    "call of a method of a list": ("call", ([1].index, (1,), {})),
    "call of a method of an array": ("call", (np.ones(2).sum, (), {})),
    "shape of an array": ("getattr", (np.ones(2), "shape")),
    "path of a file": ("getattr", (File("a"), "path")),
    "staging of a file": ("getattr", (File("a"), "stage")),
    "call of the staging of a file": ("call", (File("a").stage, ("b",), {})),
    "call of the staging of a directory": ("call", (Dir("a").stage, (), {})),
    "pattern of a set of files": ("getattr", (FileSet("a/*"), "pattern")),
    "remote of a staged file": ("getattr", (File("a").stage(), "remote")),
}

IMPURE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "own operator": ("add", (Box(), 1)),
    "own operator on the right": ("add", (1, Box())),
    "own attribute": ("getattr", (Box(), "anything")),
    "property of a named tuple": ("getattr", (Pair(), "total")),
    "item of a named tuple that decides itself": ("getitem", (CountedPair(), 0)),
    "property of a dataclass": ("getattr", (Data(), "twice")),
    "cached property of a dataclass": ("getattr", (Data(), "slow")),
    "method of a dataclass": ("getattr", (Data(), "method")),
    "field of a dataclass that decides itself": ("getattr", (Watched(), "a")),
    "call of a method of one's own": ("call", (Data().method, (), {})),
    "call of a function": ("call", (len, ([1],), {})),
    "call of a lambda": ("call", (lambda: 1, (), {})),
    "path": ("getattr", (Path("a"), "exists")),
    "call of a method of a path": ("call", (Path("a").exists, (), {})),
    "attribute of a file": ("getattr", (File("a"), "hash")),
    "attribute of a kind of file of the user's": ("getattr", (Mine("a"), "path")),
    "file in a directory": ("call", (Dir("a").file, ("b",), {})),
    "call of a method of a file": ("call", (File("a").exists, (), {})),
    "comparison of files": ("eq", (File("a"), File("a"))),
}


@pytest.mark.parametrize("what", PURE)
def test_what_depends_on_its_operands_alone_is_pure(what: str):
    assert is_pure(*PURE[what])


@pytest.mark.parametrize("what", IMPURE)
def test_what_runs_code_or_reads_outside_is_not_pure(what: str):
    assert not is_pure(*IMPURE[what])


def test_now_is_not_pure():
    assert not is_pure("call", (dt.datetime.now, (), {}))
    assert not is_pure("call", (dt.datetime(2024, 1, 1).now, (), {}))
    assert not is_pure("call", (dt.date.today, (), {}))
