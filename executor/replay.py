"""One recorded call, run again: with its exact arguments, as they are in the store, and the code of now.

Nothing is written: what comes out is compared with what was recorded, and given up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from redun.core.decoding import Decoder
from redun.core.digest import Digest
from redun.core.errors import NotFound, RedunError, TaskError
from redun.core.expressions import is_lazy
from redun.core.job_info import JobInfo
from redun.core.keys import prepare, spread
from redun.core.objects import CallRecord, Outcome
from redun.core.reduction import reduce
from redun.core.tasks import Task, registry, running
from redun.core.values import Encoder, External
from redun.executor.code_changes import CodeChange, code_changes
from redun.store import Store
from redun.store.call_graph import CallGraph

Invoke = Callable[..., Any]
_ANEW: Final = "a call is replayed with its recorded arguments; redun run calls it anew"


class Replay(NamedTuple):
    """A recorded call that is ready to be run again.

    Attributes:
        task: the task as it is now.
        args, kwargs: the arguments of its function.
        record: what was recorded.
        is_same_code: whether the code is that of the record.
        changes: what differs, where the store still knows.
        changed: what stands for something outside, such as files, among the arguments, and is not as it was.
    """

    task: Task[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]
    record: CallRecord
    is_same_code: bool
    changes: tuple[CodeChange, ...]
    changed: tuple[External, ...]


class Replayed(NamedTuple):
    """How it went.

    Attributes:
        value: what the body returned, which may be lazy; None where it raised.
        error: what it raised, or None.
        is_same: whether that is what was recorded; None where it cannot be told.
    """

    value: Any
    error: BaseException | None
    is_same: bool | None


def prepare_replay(store: Store, call: Digest, info: JobInfo) -> Replay:
    """Returns a recorded call with what is needed to run it again; its workflow is loaded.

    Args:
        info: the facts of the job, for a parameter that is told of them.

    Raises:
        NotFound: if the call, its task or one of its arguments is not in the store any more.
        UnknownTask: if the workflow has no such task.
        TaskError: if the task does not take these arguments any more.
        CannotDecode: if an argument is of a class that the workflow has not, or is a secret.
    """
    graph = CallGraph(store)
    record = graph.call(call)
    recorded = None if record is None else graph.task(record.task)
    if record is None or recorded is None:
        raise NotFound(f"call {call.hex()[:8]} is not in the store any more")
    task = registry.find(recorded.fullname)
    prepared = prepare(task, store.format)
    decoder = Decoder(graph.fetch)
    given = {}
    for argument in graph.arguments(record):
        kind, payload = graph.fetch(argument.value)
        if kind != "value":
            raise NotFound(f"argument {argument.name} of the call is not in the store")
        given[argument.name] = decoder.decode(payload)
    args, kwargs = spread(task, [info if name in task.informed else value for name, value in _bound(task, given)])
    changed = tuple(external for external in decoder.externals if not external.is_valid())
    is_same_code = prepared.digest == record.task
    changes: tuple[CodeChange, ...] = ()
    if not is_same_code:

        def fetch(digest: Digest) -> tuple[str, bytes]:
            return prepared.objects[digest] if digest in prepared.objects else graph.fetch(digest)

        changes = code_changes(record.task, prepared.digest, fetch)
    return Replay(task, args, kwargs, record, is_same_code, changes, changed)


def _bound(task: Task[..., Any], given: dict[str, Any]) -> list[tuple[str, Any]]:
    names = [name for name, _ in task.params]
    gone = [name for name in given if name not in names]
    new = [name for name in names if name not in given and name not in task.defaults]
    if gone or new:
        said = f"has no parameter {gone[0]} any more" if gone else f"has a new parameter {new[0]}"
        raise TaskError(
            f"task {task.fullname} {said}",
            hint="a call is replayed with its recorded arguments; redun run calls it anew",
        )
    bound = [(name, given[name] if name in given else task.defaults[name]) for name in names]
    lazy = next((name for name, value in bound if is_lazy(value)), None)
    if lazy is not None:
        raise TaskError(
            f"task {task.fullname} has a new parameter {lazy}, and its default is lazy",
            hint=_ANEW,
        )
    return bound


def replay(prepared: Replay, store: Store, invoke: Invoke | None = None) -> Replayed:
    """Runs a recorded call again, on this thread.

    Args:
        invoke: calls the body, `invoke(function, *args, **kwargs)`: a debugger does it in its own way.

    Raises:
        BaseException: what is no `Exception` and the body raises, such as KeyboardInterrupt.
    """
    task = prepared.task
    function = _body(task)
    before = running.body, running.nested
    running.body = not task.is_coroutine
    try:
        call = function if invoke is None else invoke
        args = prepared.args if invoke is None else [function, *prepared.args]
        value = call(*args, **prepared.kwargs)
    except Exception as error:  # noqa: BLE001  a body may raise anything
        return Replayed(None, error, _is_same(prepared, store, None, error))
    finally:
        running.body, running.nested = before
    return Replayed(value, None, _is_same(prepared, store, value, None))


def _body(task: Task[..., Any]) -> Callable[..., Any]:
    """What is called: the function; of a script task what runs the command; of an async one what gives it the values
    that it awaits."""
    # Here and not at the top: few calls are of such tasks.
    if task.is_script:
        from redun.executor.scripting.bodies import script_body

        return script_body(task.func)
    if task.is_coroutine:
        from redun.executor.scheduler import Scheduler

        return lambda *args, **kwargs: Scheduler(debug=True).run(task(*args, **kwargs))
    return task.func


def _is_same(prepared: Replay, store: Store, value: Any, error: BaseException | None) -> bool | None:
    """Whether what came out is what was recorded; None where nothing was, or it has no encoding to be known by."""
    record, encoder = prepared.record, Encoder(store.format)
    evaluated = record.reduction is None or prepared.task.is_coroutine  # else only the body ran again, not its calls
    if record.outcome is Outcome.PARTIAL and evaluated:
        return None
    try:
        if error is not None:
            return evaluated and record.outcome is Outcome.RAISED and encoder.value(error) == record.result
        if evaluated and (prepared.task.is_coroutine or not is_lazy(value)):
            return record.outcome is Outcome.VALUE and encoder.value(value) == record.result
        reduction = reduce(encoder, value, lambda task: prepare(task, store.format).digest)
        return bool(reduction.nodes) and encoder.put("expr", reduction.payload) == record.reduction
    except RedunError:
        return None
