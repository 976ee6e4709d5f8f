"""A workflow as users annotate it, for type checkers: each `assert_type` says what they are to infer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from redun import Dir, File, PartialTask, Scheduler, Task, apply_tags, catch, catch_all, cond, run, script, task
from redun.file import StagingFile
from redun.functools import (
    as_task,
    compose,
    const,
    delay,
    flat_map,
    flatten,
    fold,
    force,
    identity,
    map_,
    no_prov,
    seq,
    starmap,
    zip_,
)
from redun.scheduler import Thread, fork_thread, join_thread, subrun, with_export_options
from redun.scripting import sh


@task
def bare(x: int) -> str:
    return str(x)


@task(version="1", memory=4)
def size(word: str, factor: float = 1.0) -> int:
    return int(len(word) * factor)


@task()
def words(n: int) -> list[str]:
    return [str(n)]


@task()
def add(total: int, word: str) -> int:
    return total + len(word)


@task()
def pair() -> tuple[int, str]:
    return 1, "a"


@task()
def wide(*numbers: int, **names: str) -> float:
    return float(sum(numbers) + len(names))


@task()
def copied(file: File) -> File:
    return file


@task()
def recover(error: Exception) -> bytes:
    return str(error).encode()


@task()
def told(error: ValueError) -> int:
    return len(str(error))


@task(script=True, executor="processes")
def listed(folder: str = ".") -> list[str]:
    return ["ls", folder]


@task()
async def fetched(url: str) -> bytes:
    return url.encode()


@task()
async def gathered(url: str) -> int:
    return len(await fetched(url))


def calls() -> None:
    assert_type(bare(1), str)
    assert_type(size("a", factor=2), int)
    assert_type(size.func("a"), int)
    assert_type(size(bare(1)), int)
    assert_type(words(1)[0], str)
    assert_type([size(word) for word in ("a", "b")], list[int])
    number, text = pair()
    assert_type(number, int)
    assert_type(text, str)
    assert_type(wide(1, 2, a="b"), float)
    assert_type(copied(File("a")), File)
    assert_type(copied(copied(File("a"))), File)
    assert_type(task(len)("abc"), int)


def options() -> None:
    assert_type(size.options(memory=8)("a"), int)
    assert_type(size.options(cache=False).export_options(executor="processes")("a", 1.0), int)
    assert_type(size.update_context(db="x")("a"), int)
    assert_type(size.options(memory=8).options(retries=2).partial("a")(), int)


def partials() -> None:
    assert_type(size.partial("a")(), int)
    assert_type(size.partial("a")(factor=2), int)
    assert_type(size.partial("a", 2.0)(), int)
    assert_type(size.partial("a").partial(2.0)(), int)
    assert_type(size.partial(factor=2)("a"), int)
    assert_type(size.partial(factor=2), PartialTask[..., int])
    assert_type(wide.partial(1)(2, a="b"), float)
    assert_type(add.partial(1)("a"), int)
    assert_type(map_(add.partial(1), ["a"]), list[int])


def control() -> None:
    assert_type(cond(size("a") > 1, bare(1), bare(2)), str)
    assert_type(cond(size("a") > 1, bare(1), size("b")), str | int)
    assert_type(cond(size("a") > 1, bare(1)), str | None)
    assert_type(cond(size("a") > 1, bare(1), size("b") > 1, bare(2), bare(3)), str)
    assert_type(catch(bare(1), ValueError, recover), str | bytes)
    assert_type(catch(bare(1), (KeyError, ValueError), recover), str | bytes)
    assert_type(catch(bare(1), KeyError, recover, ValueError, told), str | bytes | int)
    assert_type(catch_all([bare(1)]), list[str])
    assert_type(catch_all([bare(1)], ValueError, recover), list[str] | bytes)
    assert_type(seq([bare(1), bare(2)]), list[str])
    assert_type(const(bare(1), size("a")), str)
    assert_type(identity(size("a")), int)


def lists() -> None:
    assert_type(map_(bare, [1, 2]), list[str])
    assert_type(map_(size, map_(bare, [1, 2])), list[int])
    assert_type(map_(size.options(memory=2), ["a"]), list[int])
    assert_type(flat_map(words, [1]), list[str])
    assert_type(flatten([words(1), words(2)]), list[str])
    assert_type(starmap(size, [{"word": "a"}]), list[int])
    assert_type(zip_([1], ["a"]), list[tuple[int, str]])
    assert_type(zip_(words(1), map_(size, words(1)), [True]), list[tuple[str, int, bool]])
    assert_type(fold(add, ["a", "b"], 0), int)


def functions() -> None:
    assert_type(compose(size, bare)(1), int)
    assert_type(compose(words, size, bare)(1), list[str])
    assert_type(as_task(len)("abc"), int)
    assert_type(delay(size("a"))(), int)
    assert_type(force(delay(size("a"))), int)


def applied(function: Callable[[int], str], a_task: Task[[str, float], int], part: PartialTask[[str], int]) -> None:
    assert_type(function(1), str)
    assert_type(a_task("a", 1.0), int)
    assert_type(part("a"), int)


def handed_on() -> None:
    applied(bare, task(_weighed), add.partial(1))


def _weighed(word: str, factor: float, /) -> int:
    return int(len(word) * factor)


def parts() -> None:
    assert_type(apply_tags(bare(1), tags=[("a", 1)]), str)
    assert_type(no_prov(size("a")), int)
    assert_type(with_export_options(bare(1), {"memory": 1}), str)
    assert_type(subrun(bare(1), executor="processes"), str)
    thread = fork_thread(size("a"))
    assert_type(thread, Thread[int])
    assert_type(join_thread(thread), int)


def runs() -> None:
    assert_type(run(size("a")), int)
    assert_type(run([size("a"), size("b")]), list[int])
    assert_type(Scheduler().run(map_(bare, [1])), list[str])


def files() -> None:
    file = copied(File("a"))
    assert_type(file.path, str)
    assert_type(file.exists(), bool)
    assert_type(copied(file), File)


def scripts() -> None:
    assert_type(listed("a"), bytes)
    assert_type(listed.options(memory=1)("a"), bytes)
    assert_type(sh("wc {data}", data=File("a")), str)
    assert_type(File("a").stage("b"), StagingFile)
    assert_type(File("a").stage().remote, File)
    assert_type(Dir("a").stage().local, Dir)
    assert_type(script(["wc", File("a")], inputs=[File("a")], memory=1), Any)


async def awaited() -> None:
    # A call of an async task has the type that Python gives it, so that it can be awaited.
    given: Coroutine[Any, Any, bytes] = fetched("a")
    assert_type(await given, bytes)
    assert_type(await gathered.func("a"), int)
