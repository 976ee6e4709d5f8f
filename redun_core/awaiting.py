"""Awaiting expressions: what `await task(x)` means in the body of an `async def` task.

The body runs on an event loop, and whoever runs it says here how it is given the values that it awaits. What it
awaited, in order and with the ids of what it was given, is the call's reduction: a later run evaluates that again, and
where everything comes out the same the body need not run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from redun.core.errors import ExpressionError
from redun.core.expressions import Expression
from redun.core.scheduler_tasks import SchedulerTask, scheduler_task

#: How the body that is running is given the value of an expression.
asking: Final[ContextVar[Callable[[Any], Awaitable[Any]] | None]] = ContextVar("redun_asking", default=None)


def _await(self: Expression) -> Generator[Any, Any, Any]:
    ask = asking.get()
    if ask is None:
        raise ExpressionError(
            f"{self!r} is awaited outside the body of an `async def` task",
            hint="run it: `redun.run(...)` or `Scheduler().run(...)`",
        )
    return ask(self).__await__()


Expression.__await__ = _await  # type: ignore[attr-defined]  # expressions are made below whoever awaits them


@dataclass(frozen=True, slots=True)
class Expecting:
    """Asks for a value that is to have this id (or for an error, where `failed`); where it has not, the body of the job
    around runs. Only for `awaits`."""

    expression: Any
    digest: bytes
    failed: bool


@scheduler_task(namespace="redun", name="awaits", version="1")
def _awaits(*steps: Any) -> Generator[Any, Any, Any]:
    for at in range(0, len(steps) - 1, 3):
        yield Expecting(*steps[at : at + 3])
    return steps[-1]


#: What the reduction of an async call is: expression, id, whether it failed, and so on; and what the body returned.
AWAITS: Final[SchedulerTask[..., Any]] = _awaits
