"""A workflow as users annotate it, for type checkers: each `assert_type` says what they are to infer."""

from __future__ import annotations

from typing import assert_type

from redun import apply_tags, catch, cond, task
from redun.functools import const, fold, identity, map_, no_prov, seq
from redun.scheduler import Thread, fork_thread, join_thread, subrun, with_export_options


@task
def bare(x: int) -> str:
    return str(x)


@task(version="1", memory=4)
def size(word: str, factor: float = 1.0) -> int:
    return int(len(word) * factor)


@task()
def add(total: int, word: str) -> int:
    return total + len(word)


@task()
def recover(error: Exception) -> bytes:
    return str(error).encode()


def calls() -> None:
    assert_type(bare(1), str)
    assert_type(size("a", factor=2), int)
    assert_type(size.options(memory=8)("a"), int)
    assert_type(size.options(cache=False).export_options(executor="processes")("a", 1.0), int)
    assert_type(size.update_context(db="x")("a"), int)
    assert_type(size.partial("a")(), int)
    assert_type(size.func("a"), int)
    assert_type(size(bare(1)), int)


def control() -> None:
    assert_type(cond(size("a") > 1, bare(1), bare(2)), str)
    assert_type(catch(bare(1), ValueError, recover), str | bytes)
    assert_type(map_(bare, [1, 2]), list[str])
    assert_type(map_(size, map_(bare, [1, 2])), list[int])
    assert_type(map_(size.options(memory=2), ["a"]), list[int])
    assert_type(seq([bare(1), bare(2)]), list[str])
    assert_type(fold(add, ["a", "b"], 0), int)
    assert_type(const(bare(1), size("a")), str)
    assert_type(identity(size("a")), int)


def parts() -> None:
    assert_type(apply_tags(bare(1), tags=[("a", 1)]), str)
    assert_type(no_prov(size("a")), int)
    assert_type(with_export_options(bare(1), {"memory": 1}), str)
    assert_type(subrun(bare(1), executor="processes"), str)
    thread = fork_thread(size("a"))
    assert_type(thread, Thread[int])
    assert_type(join_thread(thread), int)
