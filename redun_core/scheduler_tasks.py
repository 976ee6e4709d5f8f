"""Scheduler tasks: functions that decide how expressions are evaluated. `cond`, `catch`, `seq` and `map_` are such.

A scheduler task gets its arguments unevaluated: a lazy argument is an expression, which may be handed on as it is. It
is a generator that asks by yielding, or a plain function that asks for nothing:

    @scheduler_task(namespace="acme")
    def first(*choices, wanted):
        for choice in choices:
            if (yield choice) == wanted:
                return choice

What it yields decides what it gets:

- an expression, or any value that holds expressions: its value. Everything in it is evaluated at once, in parallel.
  Where something in it fails, the scheduler task fails with that error, and its generator is closed.
- `Attempt(expression, errors)`: None, or the error, where it is one of these classes. All that was begun is let finish
  first, and the first error in the order of the expression counts, so that timing decides nothing.
- `AttemptAll(value, errors)`: a `Settled`, once each expression in the value has come to its end.
- `Reading(path)`: what the context of the job around has there.
- `Tagging(...)`: None; what it was sent last, the job around and the execution are given tags.
- `Forking(expression)`: None at once, while the expression is evaluated; whether it fails is nobody's concern.

What it returns is its value, or an expression of it. It must be a function of its arguments and of what it was sent:
it runs again, without a job or a cache of its own, whenever the task around it is replayed step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar, cast, overload

from redun.core.expressions import SchedulerCall
from redun.core.tasks import Task, encode_task, registry
from redun.core.values import HANDLERS

P = ParamSpec("P")
R = TypeVar("R")

#: Classes of errors.
Errors = tuple[type[BaseException], ...]
ANY_ERROR: Final[Errors] = (Exception,)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Asks for a value that may fail: sends None, or the error where it is an instance of `errors`."""

    expression: Any
    errors: Errors = ANY_ERROR


@dataclass(frozen=True, slots=True)
class AttemptAll:
    """Asks for each expression in a value, whichever of them fail: sends a `Settled`. An error that is no instance of
    `errors` fails the scheduler task, once all have ended."""

    value: Any
    errors: Errors = ANY_ERROR


@dataclass(frozen=True, slots=True)
class Settled:
    """The value with errors in the places of the expressions that failed, and these errors in the order in which they
    stand."""

    value: Any
    errors: tuple[BaseException, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """Asks for what the context of the job around has at a path (`a.b.0`): sends `(True, value)` or `(False, None)`."""

    path: str


@dataclass(frozen=True, slots=True)
class Tagging:
    """Gives tags to the value that was sent last, to the job around and to the execution."""

    value: tuple[tuple[str, str], ...] = ()
    job: tuple[tuple[str, str], ...] = ()
    execution: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Forking:
    """Asks for an expression to be evaluated, and does not wait for it."""

    expression: Any


class SchedulerTask(Task[P, R]):
    """A task whose function is asked how to evaluate its arguments. It has no jobs: it is part of the task around."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return cast(R, SchedulerCall(self, args, kwargs))

    def call_with(self, options: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Returns the lazy call with options of its own."""
        return SchedulerCall(self, args, kwargs, dict(options))


@overload
def scheduler_task(func: Callable[P, Any], /) -> SchedulerTask[P, Any]: ...
@overload
def scheduler_task(func: None = None, /, **options: Any) -> Callable[[Callable[P, Any]], SchedulerTask[P, Any]]: ...
def scheduler_task(func: Callable[P, Any] | None = None, /, **options: Any) -> Any:
    """Makes a function a scheduler task, as the module's text describes; options are those of `task` that name it and
    its code: `name`, `namespace`, `version`, `hash_includes`, `code`, `nout`.

    Raises:
        TaskError: if an option has a value that means nothing.
        DuplicateTask: if the name is taken.
    """

    def decorate(function: Callable[P, Any]) -> SchedulerTask[P, Any]:
        made: SchedulerTask[P, Any] = SchedulerTask(function, options)
        registry.add(made)
        return made

    return decorate if func is None else decorate(func)


HANDLERS[SchedulerTask] = encode_task
