"""Decorators that wrap a task into another one: `wraps_task`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from redun.core.errors import TaskError
from redun.core.tasks import PartialTask, Task, registry

#: From the task inside to the function of the task around it.
Wrapper = Callable[[Task[..., Any]], Callable[..., Any]]
Decorator = Callable[[Any], Task[..., Any]]


def wraps_task(
    wrapper_name: str | None = None,
    wrapper_hash_includes: Sequence[Any] = (),
    use_wrapper_signature: bool = False,
    **options: Any,
) -> Callable[[Wrapper], Decorator]:
    """Makes of a function that wraps a task a decorator for functions and tasks.

        def doubled(**options):
            @wraps_task(**options)
            def _doubled(inner):
                def double(*args, **kwargs):
                    return 2 * inner.func(*args, **kwargs)
                return double
            return _doubled

        @doubled()
        def answer(x: int) -> int:
            return x + 20

    `answer` is then the task around; the one inside is registered as `_doubled.answer`, and is found as
    `answer.inner_task`. Its code is part of that of the task around, whether it is called or not. Several such
    decorators may stand on each other.

    Args:
        wrapper_name: the word that the name of the task inside has before its own, with `_` before it; by default the
            name of the function that wraps.
        wrapper_hash_includes: more values that decide the cache of the task around.
        use_wrapper_signature: whether that has the parameters of the wrapper rather than those of the function.
        options: of the task around, as of `task`.

    Raises:
        TaskError: if an option has a value that means nothing, or what is decorated is no function and no task.
    """

    def wrap(wrapper: Wrapper) -> Decorator:
        word = "_" + str(wrapper_name or wrapper.__name__).lstrip("_")

        def decorate(decorated: Any) -> Task[..., Any]:
            inner = _inner(decorated, options)
            name, namespace = options.get("name") or inner.name, inner.namespace
            registry.rename(inner, inner.name, f"{namespace}.{word}" if namespace else word)
            around = functools.update_wrapper(wrapper(inner), inner.func)
            if use_wrapper_signature:
                del around.__wrapped__  # type: ignore[attr-defined]  # update_wrapper has set it
            given = {**options, "name": name, "namespace": namespace}
            given["hash_includes"] = [*wrapper_hash_includes, *(options.get("hash_includes") or ()), inner]
            made: Task[..., Any] = Task(around, given)
            made.inner_task = made.wrapped_task = inner
            registry.add(made)
            return made

        return decorate

    return wrap


def _inner(decorated: Any, options: dict[str, Any]) -> Task[..., Any]:
    if isinstance(decorated, PartialTask):
        raise TaskError(
            f"a partial of task {decorated.task.fullname} cannot be wrapped", hint="wrap the task, and take its partial"
        )
    if isinstance(decorated, Task):
        return decorated
    named: dict[str, Any] = {name: options[name] for name in ("name", "namespace") if name in options}
    return Task(decorated, named)
