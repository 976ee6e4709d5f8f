"""What a function says of itself: its parameters with their defaults, and what its annotations promise."""

from __future__ import annotations

from types import FunctionType
from typing import Any, Final

POSITIONAL_ONLY: Final = 0
POSITIONAL: Final = 1
VAR_POSITIONAL: Final = 2
KEYWORD_ONLY: Final = 3
VAR_KEYWORD: Final = 4


def unwrapped(func: Any) -> Any:
    """Returns the function that decorators are around."""
    while hasattr(func, "__wrapped__"):
        func = func.__wrapped__
    return func


def parameters(func: Any) -> tuple[tuple[tuple[str, int], ...], dict[str, Any]]:
    """Returns ((name, kind), ...) of a function's parameters and its defaults by name."""
    if not isinstance(func, FunctionType):
        return _inspected(func)
    code = func.__code__
    positional, keyword = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames
    params = [
        (name, POSITIONAL_ONLY if i < code.co_posonlyargcount else POSITIONAL)
        for i, name in enumerate(names[:positional])
    ]
    end = positional + keyword
    if code.co_flags & 0x04:
        params.append((names[end], VAR_POSITIONAL))
        end += 1
    params += [(name, KEYWORD_ONLY) for name in names[positional : positional + keyword]]
    if code.co_flags & 0x08:
        params.append((names[end], VAR_KEYWORD))
    given = func.__defaults__ or ()
    defaults = dict(zip(names[positional - len(given) : positional], given, strict=True))
    defaults.update(func.__kwdefaults__ or {})
    return tuple(params), defaults


def _inspected(func: Any) -> tuple[tuple[tuple[str, int], ...], dict[str, Any]]:
    import inspect  # only for callables that are not plain functions; it costs 10 ms

    signature = inspect.signature(func)
    params = tuple((p.name, int(p.kind)) for p in signature.parameters.values())
    return params, {p.name: p.default for p in signature.parameters.values() if p.default is not p.empty}


def secret_parameters(func: Any) -> frozenset[str]:
    """Returns the names of the parameters annotated `Secret` or `Secret[...]`, as far as their text tells."""
    found = []
    for name, annotation in getattr(func, "__annotations__", {}).items():
        if isinstance(annotation, str):
            said = annotation.partition("[")[0].rpartition(".")[2].strip()
        else:
            said = getattr(getattr(annotation, "__origin__", annotation), "__name__", "")
        if said == "Secret" and name != "return":
            found.append(name)
    return frozenset(found)


def annotated_length(func: Any) -> int:
    """Returns the length of the tuple that the annotation promises, or -1."""
    annotation = getattr(unwrapped(func), "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, getattr(unwrapped(func), "__globals__", {}))  # the user's own annotation
        except Exception:  # noqa: BLE001  a name that exists only for type checkers, or worse
            return -1
    if isinstance(annotation, type) and hasattr(annotation, "_fields"):
        return len(annotation._fields)
    args = getattr(annotation, "__args__", None)
    if getattr(annotation, "__origin__", None) is not tuple or args is None or Ellipsis in args:
        return -1
    return len(args)
