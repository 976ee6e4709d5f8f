"""Options that say how the body of a job is run: what it holds meanwhile (`limits`), how long it may take (`timeout`),
and how often it is tried (`retries`, `retry_delay`, `retry_max_delay`, `retry_on`).

None of them is part of a key: they change how an answer is come by, and not what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from redun.core.errors import TaskError

#: All of these options.
STEERING: Final = frozenset({"limits", "timeout", "retries", "retry_delay", "retry_max_delay", "retry_on"})
#: The longest wait (seconds) that doubling comes to, where `retry_max_delay` does not say.
MAX_DELAY_SECONDS: Final = 300.0
_MOST_DOUBLINGS: Final = 64
_INFINITE: Final = float("inf")


def check_steering(fullname: str, options: Mapping[str, Any]) -> None:
    """Checks the values of these options among others; None is as good as none.

    Raises:
        TaskError: if one means nothing.
    """
    for name, (holds, hint) in _CHECKS.items():
        value = options.get(name)
        if value is not None and not holds(value):
            raise TaskError(f"task {fullname}: {name}={value!r}", hint=hint)


def needs_of(limits: Any) -> tuple[tuple[str, int], ...]:
    """Returns what `limits` asks for, by name and sorted: of a name in a list one."""
    if isinstance(limits, Mapping):
        return tuple(sorted((name, number) for name, number in limits.items() if number))
    return tuple((name, 1) for name in sorted(set(limits)))


def delay_before(options: Mapping[str, Any], retry: int) -> float:
    """Returns how many seconds to wait before a retry, the first being 1.

    A list of `retry_delay` says each, its last one all that follow. A number is the first wait, and each further one is
    twice as long, up to `retry_max_delay`. Nothing is left to chance, so that a run can be told from its options.
    """
    delay = options.get("retry_delay") or 0.0
    if isinstance(delay, list | tuple):
        return float(delay[min(retry, len(delay)) - 1])
    most = options.get("retry_max_delay")
    bound = MAX_DELAY_SECONDS if most is None else float(most)
    return min(delay * 2.0 ** min(retry - 1, _MOST_DOUBLINGS), max(bound, delay))


def retried(options: Mapping[str, Any]) -> tuple[type[BaseException], ...]:
    """Returns the classes of errors after which a body is tried again: `retry_on`, or any `Exception`."""
    classes = options.get("retry_on")
    if classes is None:
        return (Exception,)
    return tuple(classes) if isinstance(classes, list | tuple) else (classes,)


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < _INFINITE


def _is_delay(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_seconds(item) for item in value)
    return _is_seconds(value)


def _is_limits(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_whole(number) for name, number in value.items())
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(name, str) for name in value)


def _are_errors(value: Any) -> bool:
    classes = value if isinstance(value, list | tuple) else (value,)
    return all(isinstance(item, type) and issubclass(item, Exception) for item in classes)


_CHECKS: Final = {
    "limits": (_is_limits, 'limits is a list of names, or says how much of each: ["db"] or {"db": 2}'),
    "timeout": (lambda value: _is_seconds(value) and value > 0, "timeout is a number of seconds above 0"),
    "retries": (_is_whole, "retries is how often a body that failed is run again: 0, 1, 2, ..."),
    "retry_delay": (_is_delay, "retry_delay is a number of seconds, or a list of them"),
    "retry_max_delay": (_is_seconds, "retry_max_delay is a number of seconds"),
    "retry_on": (_are_errors, "retry_on is a class of exceptions, or a list of such"),
}
