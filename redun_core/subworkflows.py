"""Parts of a workflow that are evaluated in a way of their own: tagged, on the side, unrecorded, in another pool."""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar, cast

from redun.core.quoting import QuotedExpression, quote
from redun.core.scheduler_tasks import Forking, Tagging, scheduler_task
from redun.core.tags import tag_pairs
from redun.core.tasks import EXPORTED, task

A = TypeVar("A")
Steps = Generator[Any, Any, Any]
#: Pairs of name and JSON value.
TagPairs = Iterable[tuple[str, Any]] | Mapping[str, Any]
#: For jobs that only give back an expression: whatever jobs above export, they are not worth a way elsewhere.
_HERE: Final = {"executor": "threads", "mode": "thread"}


# -- tags -------------------------------------------------------------------------------------------------------------


@scheduler_task(namespace="redun", name="apply_tags", version="1")
def _apply_tags(value: Any, tags: Any, job_tags: Any, execution_tags: Any) -> Steps:
    wanted = yield [tags, job_tags, execution_tags]
    yield value
    yield Tagging(*map(tag_pairs, wanted))
    return value


def apply_tags(value: A, tags: TagPairs = (), job_tags: TagPairs = (), execution_tags: TagPairs = ()) -> A:
    """Returns the value, which is given tags; so are the job around, and the execution.

    A value keeps its tags. The tags of a job and of an execution are of that run: a task that gives such is never
    replayed as one with the task around it.
    """
    return cast(A, _apply_tags(value, _listed(tags), _listed(job_tags), _listed(execution_tags)))


def _listed(tags: TagPairs) -> Any:
    if isinstance(tags, Mapping):
        return list(tags.items())
    return list(tags) if isinstance(tags, (tuple, set, frozenset)) else tags


# -- options ----------------------------------------------------------------------------------------------------------


@task(namespace="redun", name="with_export_options", version="1")
def _evaluated(quoted: QuotedExpression) -> Any:
    return quoted.eval()


def with_export_options(expression: A, options: Mapping[str, Any]) -> A:
    """Returns the value of the expression; its jobs and all below them have these options, as by `export_options`. It
    is a job of its own."""
    return cast(A, _evaluated.export_options(**options).options(**_HERE)(quote(expression)))


@task(namespace="redun", name="no_prov", version="1", check_valid="shallow")
def _unrecorded(quoted: QuotedExpression) -> Any:
    # exported alone: an option of the call itself would say that its answer is none for later runs
    return _evaluated.call_with({**_HERE, EXPORTED: {"prov": False}}, (quoted,), {})


def no_prov(expression: A) -> A:
    """Returns the value of the expression, of which one job is recorded: what happens inside is not, and is repeated as
    a whole when code that it depends on changes."""
    return cast(A, _unrecorded.options(**_HERE)(quote(expression)))


@task(namespace="redun", name="subrun", version="1")
def _subrun(quoted: QuotedExpression) -> Any:
    return quoted.eval()


def subrun(
    expression: A,
    executor: str = "default",
    *,
    config: Any = None,
    config_dir: str | None = None,
    new_execution: bool = False,
    load_modules: Sequence[str] = (),
    **options: Any,
) -> A:
    """Returns the value of the expression, all jobs of which run in that executor, below one job that holds them.

    They are part of this execution and of its store: no second scheduler is started. So `config`, `config_dir` and
    `new_execution`, with which workflows for other systems set one up, change nothing.

    Args:
        executor: for all jobs of the expression, whatever their tasks say.
        load_modules: modules to be imported first, which register tasks that the expression names.
        options: of the job around; `check_valid` is `"shallow"` unless it says otherwise.
    """
    del config, config_dir, new_execution
    for module in load_modules or ():
        importlib.import_module(module)
    made = _subrun.export_options(executor=executor).options(**{"check_valid": "shallow", **options, **_HERE})
    return cast(A, made(quote(expression)))


# -- on the side ------------------------------------------------------------------------------------------------------


class Thread(Generic[A]):
    """An expression that is being evaluated on the side: a value, to be passed on and joined.

    Attributes:
        quoted: the expression.
    """

    def __init__(self, quoted: QuotedExpression) -> None:
        self.quoted = quoted

    def __repr__(self) -> str:
        return f"Thread({self.quoted!r})"


@task(namespace="redun", name="thread", version="1")
def _thread(quoted: QuotedExpression) -> Any:
    return quoted.eval()


@scheduler_task(namespace="redun", name="fork_thread", version="1")
def _fork_thread(quoted: Any) -> Steps:
    found = yield quoted
    yield Forking(_thread.options(**_HERE)(found))
    return Thread(found)


def fork_thread(expression: A) -> Thread[A]:
    """Returns at once what stands for the expression, whose evaluation begins.

    It is joined with `join_thread`, also by another task that is given it. What it comes to, and whether it fails, is
    nobody's concern before that; the execution ends when it has ended.
    """
    return cast("Thread[A]", _fork_thread(quote(expression)))


@scheduler_task(namespace="redun", name="join_thread", version="1")
def _join_thread(thread: Any) -> Steps:
    found = yield thread
    if not isinstance(found, Thread):
        raise TypeError(f"join_thread() takes what fork_thread() gave, not {found!r}")
    return _thread.options(**_HERE)(found.quoted)


def join_thread(thread: Thread[A]) -> A:
    """Returns the value of a forked expression, once it is there; or fails as it does."""
    return cast(A, _join_thread(thread))
