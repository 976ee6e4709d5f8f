"""Mistakes in a workflow that type checkers find: each line that ends with the mark must be an error."""

from __future__ import annotations

from redun import File, Scheduler, catch, run, task
from redun.functools import compose, fold, map_, seq, zip_


@task()
def bare(x: int) -> str:
    return str(x)


@task(version="1")
def size(word: str, factor: float = 1.0) -> int:
    return int(len(word) * factor)


@task()
def words(n: int) -> list[str]:
    return [str(n)]


@task()
def wide(*numbers: int) -> float:
    return float(sum(numbers))


@task()
def copied(file: File) -> File:
    return file


@task()
def recover(error: ValueError) -> bytes:
    return str(error).encode()


@task()
def returned(x: int) -> int:
    return bare(x)  # wrong


def results() -> tuple[str, int]:
    text: str = size("a")  # wrong
    _first, _second = size("a")  # wrong
    number: int = text + 1  # wrong
    return text, number


def calls() -> None:
    size(3)  # wrong
    size("a", "b")  # wrong
    size()  # wrong
    size("a", 1.0, 2.0)  # wrong
    size("a", nope=1)  # wrong
    size(size("a"))  # wrong
    wide(1, "b")  # wrong
    copied("a")  # wrong
    size.nope()  # wrong


def options() -> None:
    size.options(memory=3)(4)  # wrong
    size.options(3)  # wrong
    size.export_options(memory=3)("a", "b")  # wrong
    size.update_context(host="a")(4)  # wrong


def partials() -> None:
    size.partial(3)  # wrong
    size.partial("a", "b")  # wrong
    size.partial("a")("b", 3)  # wrong
    size.partial("a")(factor="b")  # wrong
    size.partial("a", 1.0)(2.0)  # wrong
    wide.partial("a")  # wrong
    wide.partial(1)("a")  # wrong


def functions() -> None:
    map_(size, [1])  # wrong
    map_(words, ["a"])  # wrong
    map_(size, words)  # wrong
    fold(size, ["a"], "b")  # wrong
    seq(3)  # wrong
    zip_(1, [2])  # wrong
    compose(size, words)  # wrong
    catch(size("a"), 3, recover)  # wrong
    catch(size("a"), ValueError, 3)  # wrong
    catch(size("a"), KeyError, recover)  # wrong


def runs() -> str:
    return run(size("a"))  # wrong


def other_runs() -> list[str]:
    return Scheduler().run([size("a")])  # wrong
