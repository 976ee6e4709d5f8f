"""Quoting: expressions that travel as values and are evaluated where somebody asks for it.

`quote(expression)` is such a value, and so is a task with some of its arguments where these are lazy. In stored bytes
it is a pointer to an `expr` object.
"""

from __future__ import annotations

from typing import Any

from redun.core import codes
from redun.core.codec import ExtType, Pointer
from redun.core.decoding import POINTER_READERS, READERS, Decoder
from redun.core.errors import CannotDecode, CodecError, MalformedObject
from redun.core.expressions import Operation, SchedulerCall, TaskCall, is_lazy
from redun.core.reduction import CONTROL, OPERATION, Arg, Node, quoted, read_reduction
from redun.core.scheduler_tasks import SchedulerTask
from redun.core.tasks import PartialTask, Task, registry
from redun.core.values import HANDLERS, Encoded, Encoder


class QuotedExpression:
    """An expression as a value: it is not evaluated before `eval` gives it back."""

    def __init__(self, expression: Any) -> None:
        self._expression = expression

    def eval(self) -> Any:
        """Returns the expression, to be returned or passed on by a task."""
        return self._expression

    def __repr__(self) -> str:
        return f"quote({self._expression!r})"


def quote(expression: Any) -> QuotedExpression:
    """Returns the expression as a value: passed to a task, it is not evaluated before that asks for it (`.eval()`)."""
    return QuotedExpression(expression)


def _encode(encoder: Encoder, value: QuotedExpression) -> ExtType:
    # An encoder of its own: this one is in the middle of a value.
    inner = Encoder(encoder.format, encoder.objects)
    inner.write_blob, inner.collision, inner.secret_key = encoder.write_blob, encoder.collision, encoder.secret_key
    reduction = quoted(inner, value.eval())
    encoder.externals.extend(reduction.externals)
    encoder.code.extend(reduction.code)
    return encoder.ext(codes.QUOTED, [Pointer(inner.put("expr", reduction.payload))])


def _read(decoder: Decoder, items: Any) -> QuotedExpression:
    (digest,) = items
    kind, payload = decoder.fetch(digest)
    if kind != "expr":
        raise MalformedObject(f"a quoted expression points to a {kind}")
    return QuotedExpression(rebuilt(decoder, bytes(payload)))


def _partial(encoder: Encoder, value: PartialTask[..., Any]) -> ExtType:
    task = value.task
    if registry.get(task.fullname) is not task:
        raise CodecError(f"task {task.fullname} is not the registered one of that name")
    encoder.code.append(task)
    args = [_kept(arg) for arg in value.args]
    kwargs = {name: _kept(value.kwargs[name]) for name in sorted(value.kwargs)}
    options = {name: _kept(value.overrides[name]) for name in sorted(value.overrides)}
    return encoder.ext(codes.PARTIAL, [task.fullname, args, kwargs, options])


def _kept(value: Any) -> Any:
    """What stands for an argument that is lazy, or that would be taken for such."""
    return QuotedExpression(value) if is_lazy(value) or isinstance(value, QuotedExpression) else value


def _given(value: Any) -> Any:
    return value.eval() if isinstance(value, QuotedExpression) else value


def _read_partial(decoder: Decoder, items: Any) -> PartialTask[..., Any]:
    name, args, kwargs, options = items
    task = _task(decoder, name)
    return PartialTask(
        task,
        {name: _given(value) for name, value in options.items()},
        [_given(value) for value in args],
        {name: _given(value) for name, value in kwargs.items()},
    )


def _task(decoder: Decoder, name: str) -> Task[..., Any]:
    task = _registered(name)
    decoder.code.append(task)
    return task


def _registered(name: str) -> Task[..., Any]:
    task = registry.get(name)
    if task is None:
        raise CannotDecode(f"task {name} is not in the running workflow")
    return task


def rebuilt(decoder: Decoder, payload: bytes) -> Any:
    """Returns the value that an `expr` object was made of, with expressions in it that can be evaluated.

    Raises:
        CannotDecode: if a task in it is not registered.
        MalformedObject: if the bytes are no expression.
    """
    reduction = read_reduction(payload)
    made: list[Any] = []

    def value(arg: Arg) -> Any:
        if type(arg) is int:
            return made[arg]
        assert isinstance(arg, Encoded)
        if arg.plain:
            return arg.obj
        inner = Decoder(decoder.fetch, made.__getitem__)
        data = arg.payload if arg.payload or arg.digest is None else bytes(decoder.fetch(arg.digest)[1])
        found = inner.decode(data)
        decoder.externals += inner.externals
        decoder.code += inner.code
        return found

    for node in reduction.nodes:  # each may refer to those before it
        made.append(_expression(node, value))  # noqa: PERF401
    return value(reduction.root)


def _expression(node: Node, value: Any) -> Any:
    args = tuple(value(arg) for arg in node.args)
    if node.op == OPERATION:
        return Operation(node.name, args)
    task = _registered(node.name)  # no code that the value carries: its calls have keys of their own
    if isinstance(task, SchedulerTask) != (node.op == CONTROL):
        raise CannotDecode(f"task {node.name} has become another kind of task")
    kwargs = {name: value(arg) for name, arg in node.kwargs.items()}
    options = {**(node.options or {}), **{name: value(arg) for name, arg in (node.lazy_options or {}).items()}}
    return (SchedulerCall if node.op == CONTROL else TaskCall)(task, args, kwargs, options or None)


HANDLERS[QuotedExpression] = _encode
HANDLERS[PartialTask] = _partial
POINTER_READERS[codes.QUOTED] = _read
READERS[codes.PARTIAL] = _read_partial
