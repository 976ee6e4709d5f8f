"""Control flow and functions over lazy values: `cond`, `catch`, `seq`, `map_` and their kin.

Nearly all are scheduler tasks, which cost no job: they are part of the task that calls them. Each carries a version
number, which counts in the cache as the code of a task does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar, cast, overload

from redun.core.expressions import Expression, SchedulerCall
from redun.core.scheduler_tasks import Attempt, AttemptAll, Errors, Settled, scheduler_task
from redun.core.tasks import PartialTask, Task, task

P = ParamSpec("P")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
E = TypeVar("E", bound=BaseException)
F = TypeVar("F", bound=BaseException)
Steps = Generator[Any, Any, Any]


# -- choosing ---------------------------------------------------------------------------------------------------------


@scheduler_task(namespace="redun", name="cond", version="1")
def _cond(*parts: Any) -> Steps:
    for at in range(0, len(parts) - 1, 2):
        if (yield parts[at]):
            return parts[at + 1]
    return parts[-1] if len(parts) % 2 else None


@overload
def cond(predicate: Any, then: A, /) -> A | None: ...
@overload
def cond(predicate: Any, then: A, otherwise: B, /) -> A | B: ...
@overload
def cond(predicate: Any, then: A, predicate2: Any, then2: B, /) -> A | B | None: ...
@overload
def cond(predicate: Any, then: A, predicate2: Any, then2: B, otherwise: C, /) -> A | B | C: ...
@overload
def cond(predicate: Any, then: Any, *rest: Any) -> Any: ...
def cond(predicate: Any, then: Any, *rest: Any) -> Any:
    """Returns `then` where the predicate is true; else what the further arguments choose: `predicate2, then2, ...`, and
    last a value for when none is true (None where there is no such).

    Only the predicates up to the first that is true are evaluated, in order, and the one branch that is chosen.
    """
    return _cond(predicate, then, *rest)


# -- failing ----------------------------------------------------------------------------------------------------------


def _classes(clause: Any) -> Errors:
    classes = clause if isinstance(clause, tuple) else (clause,)
    for found in classes:
        if not (isinstance(found, type) and issubclass(found, BaseException)):
            raise TypeError(f"catch() takes classes of errors, not {found!r}")
    return classes


@scheduler_task(namespace="redun", name="catch", version="1")
def _catch(expression: Any, *clauses: Any) -> Steps:
    if not clauses or len(clauses) % 2:
        raise TypeError("catch() takes an expression, and pairs of error classes and what recovers from them")
    pairs = [(_classes(clauses[at]), clauses[at + 1]) for at in range(0, len(clauses), 2)]
    error = yield Attempt(expression, tuple(found for classes, _ in pairs for found in classes))
    if error is None:
        return expression
    return next(recover for classes, recover in pairs if isinstance(error, classes))(error)


@overload
def catch(expression: A, error: type[E] | tuple[type[E], ...], recover: Callable[[E], B], /) -> A | B: ...
@overload
def catch(
    expression: A,
    error: type[E] | tuple[type[E], ...],
    recover: Callable[[E], B],
    error2: type[F] | tuple[type[F], ...],
    recover2: Callable[[F], C],
    /,
) -> A | B | C: ...
@overload
def catch(expression: Any, error: Any, recover: Any, error2: Any, recover2: Any, /, *clauses: Any) -> Any: ...
def catch(expression: Any, error: Any, recover: Any, *clauses: Any) -> Any:
    """Returns the value of the expression, or what `recover(error)` gives where it failed with an error of that class.

    The class may be a tuple of several; further pairs of class and recovery may follow, of which the first that fits is
    taken. Other errors go on up. The recovery is cached as every call is, and so is the error: what failed is run again
    when its code or its arguments have changed, and the recovery when the error is another.
    """
    return _catch(expression, error, recover, *clauses)


@scheduler_task(namespace="redun", name="catch_all", version="1")
def _catch_all(expressions: Any, errors: Any = None, recover: Any = None) -> Steps:
    settled: Settled = yield AttemptAll(expressions, (Exception,) if errors is None else _classes(errors))
    if not settled.errors:
        return expressions
    if recover is None:
        raise settled.errors[0]
    return recover(settled.value)


@overload
def catch_all(expressions: A, errors: Any = None, recover: None = None) -> A: ...
@overload
def catch_all(expressions: A, errors: Any, recover: Callable[[Any], B]) -> A | B: ...
def catch_all(expressions: Any, errors: Any = None, recover: Any = None) -> Any:
    """Returns the value of `expressions` once everything in it has ended, whatever fails.

    Where something failed, `recover` is called with the value that has errors in the places of what failed; without one
    the first error is raised. An error that is not of the classes is raised, too.
    """
    return _catch_all(expressions, errors, recover)


@scheduler_task(namespace="redun", name="throw", version="1")
def _throw(error: Any) -> Steps:
    raised = yield error
    if not isinstance(raised, BaseException):
        raise TypeError(f"throw() takes an error, not {raised!r}")
    raise raised


def throw(error: BaseException) -> Any:
    """Fails with that error, lazily: for a branch of `cond`, or to raise again in a recovery."""
    return _throw(error)


# -- order ------------------------------------------------------------------------------------------------------------


@scheduler_task(namespace="redun", name="seq", version="1")
def _seq(expressions: Any) -> Steps:
    listed = [expressions] if isinstance(expressions, Expression) else expressions
    for expression in listed:  # noqa: UP028  not `yield from`: a list can be sent nothing
        yield expression
    return expressions


def seq(expressions: Sequence[A]) -> list[A]:
    """Returns the values of the expressions, which are evaluated one after the other; an error ends it."""
    return cast("list[A]", _seq(expressions))


@scheduler_task(namespace="redun", name="const", version="1")
def _const(value: Any, waited_for: Any) -> Steps:
    yield [value, waited_for]
    return value


def const(value: A, waited_for: Any) -> A:
    """Returns the value, once the other has been evaluated, too."""
    return cast(A, _const(value, waited_for))


@scheduler_task(namespace="redun", name="identity", version="1")
def _identity(value: Any) -> Any:
    return value


def identity(value: A) -> A:
    """Returns the value, lazily."""
    return cast(A, _identity(value))


# -- lists ------------------------------------------------------------------------------------------------------------


def _items(values: Any) -> Steps:
    """Asks for a list that is lazy as a whole; the items of any other may be lazy one by one, and stay so."""
    found = (yield values) if isinstance(values, Expression) else values
    return list(found)


@scheduler_task(namespace="redun", name="map_", version="1")
def _map(tasks: Any, values: Any) -> Steps:
    applied = []
    for value in (yield from _items(values)):
        result = value
        for each in tasks:
            result = each(result)
        applied.append(result)
    return applied


def map_(a_task: Callable[[A], B], values: Iterable[A]) -> list[B]:
    """Returns the task's results for each of the values; these may be a lazy list.

    Where the values are themselves a `map_`, each item goes through both tasks on its own: none waits for the others.
    """
    if isinstance(values, SchedulerCall) and values._redun_task is _map:
        tasks, inner = values._redun_args
        values._redun_placed = True  # it lives on in the one made here
        return cast("list[B]", _map((*tasks, a_task), inner))
    return cast("list[B]", _map((a_task,), values))


@scheduler_task(namespace="redun", name="starmap", version="1")
def _starmap(a_task: Any, arguments: Any) -> Steps:
    return [a_task(**given) for given in (yield from _items(arguments))]


def starmap(a_task: Callable[..., B], arguments: Iterable[dict[str, Any]]) -> list[B]:
    """Returns the task's results for each dict of keyword arguments; the list may be lazy."""
    return cast("list[B]", _starmap(a_task, arguments))


@scheduler_task(namespace="redun", name="flatten", version="1")
def _flatten(lists: Any) -> Steps:
    found = yield lists
    return [item for items in found for item in items]


def flatten(lists: Iterable[Iterable[A]]) -> list[A]:
    """Returns the items of all the lists in one."""
    return cast("list[A]", _flatten(lists))


def flat_map(a_task: Callable[[A], Iterable[B]], values: Iterable[A]) -> list[B]:
    """Returns the items of all the lists that the task gives for the values, in one."""
    return flatten(map_(a_task, values))


@scheduler_task(namespace="redun", name="zip_", version="1")
def _zip(*lists: Any) -> Steps:
    found = []
    for values in lists:
        items = yield from _items(values)
        found.append(items)
    return list(zip(*found, strict=False))


@overload
def zip_(first: Iterable[A], second: Iterable[B], /) -> list[tuple[A, B]]: ...
@overload
def zip_(first: Iterable[A], second: Iterable[B], third: Iterable[C], /) -> list[tuple[A, B, C]]: ...
@overload
def zip_(*lists: Iterable[Any]) -> list[tuple[Any, ...]]: ...
def zip_(*lists: Iterable[Any]) -> list[Any]:
    """Returns tuples of the first items, the second ones, and so on, to the end of the shortest list."""
    return cast("list[Any]", _zip(*lists))


@scheduler_task(namespace="redun", name="fold", version="1")
def _fold(a_task: Any, values: Any, initial: Any) -> Steps:
    result = initial
    for value in (yield from _items(values)):
        result = a_task(result, value)
    return result


def fold(a_task: Callable[[B, A], B], values: Iterable[A], initial: B) -> B:
    """Returns `task(task(task(initial, first), second), ...)`; the list may be lazy."""
    return cast(B, _fold(a_task, values, initial))


# -- tasks as values --------------------------------------------------------------------------------------------------


@scheduler_task(namespace="redun", name="compose", version="1")
def _compose(tasks: Any, *args: Any, **kwargs: Any) -> Any:
    result = tasks[-1](*args, **kwargs)
    for each in reversed(tasks[:-1]):
        result = each(result)
    return result


@overload
def compose(last: Callable[[A], B], first: Callable[P, A], /) -> PartialTask[P, B]: ...
@overload
def compose(last: Callable[[B], C], then: Callable[[A], B], first: Callable[P, A], /) -> PartialTask[P, C]: ...
@overload
def compose(only: Callable[P, A], /) -> PartialTask[P, A]: ...
@overload
def compose(
    last: Callable[[Any], Any],
    third: Callable[[Any], Any],
    second: Callable[[Any], Any],
    first: Callable[..., Any],
    /,
    *others: Callable[..., Any],
) -> PartialTask[..., Any]: ...
def compose(*tasks: Callable[..., Any]) -> PartialTask[..., Any]:
    """Returns a task that applies these from the last to the first: `compose(f, g)(x)` is `f(g(x))`."""
    return PartialTask(_compose, args=(tasks,))


def delay(value: A) -> PartialTask[[], A]:
    """Returns a value that stands for a lazy one which is not evaluated before `force` asks for it."""
    return PartialTask(cast("Task[[], A]", _identity), args=(value,))


@scheduler_task(namespace="redun", name="force", version="1")
def _force(delayed: Any) -> Steps:
    thunk = yield delayed
    return thunk()


def force(delayed: Callable[[], A]) -> A:
    """Returns the value that `delay` put off."""
    return cast(A, _force(delayed))


# -- plain functions --------------------------------------------------------------------------------------------------


@task(namespace="redun", name="apply_func", version="1")
def apply_func(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Returns what a plain function gives for the arguments, as a job. The function is found by its name, and its code
    counts in the cache."""
    return function(*args, **kwargs)


def as_task(function: Callable[P, B]) -> PartialTask[P, B]:
    """Returns a task that calls a plain function, which is found by its name."""
    return cast("PartialTask[P, B]", apply_func.partial(function))


@task(namespace="redun", name="eval_", version="1")
def eval_(code: str, *args: Any, pos_args: Sequence[str] = (), **kwargs: Any) -> Any:
    """Returns the value of a Python expression, as a job. `pos_args` names the positional arguments, the keyword
    arguments are variables under their names."""
    return eval(code, {}, {**dict(zip(pos_args, args, strict=False)), **kwargs})
