"""Running scheduler tasks: their generators are sent what they ask for, whenever it is there.

A generator never runs inside another, however deep their calls: each step is a unit of the evaluator's queue.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from types import GeneratorType
from typing import Any, Final, Protocol

from redun.core.awaiting import AWAITS, Expecting
from redun.core.decoding import Decoder
from redun.core.digest import Digest
from redun.core.errors import UNWRITABLE
from redun.core.expressions import Operand
from redun.core.reduction import OUTER, Arg, Reduction, needs, reduce
from redun.core.scheduler_tasks import Attempt, AttemptAll, Forking, Reading, Settled, Tagging
from redun.core.tasks import Task
from redun.core.values import Encoded, Encoder
from redun.executor.expansion import Expander, attach
from redun.executor.jobs import Awaited, Awaits, Control, Errors, Failure, Job, Unit
from redun.executor.resolution import Fetch, Resolver


class Evaluation(Protocol):
    """What running a scheduler task needs of the evaluator."""

    encoder: Encoder
    fetch: Fetch

    def pin(self, task: Task[..., Any]) -> Digest:
        """Returns the fingerprint of a task that a body made."""
        ...

    def release(self, unit: Unit) -> None:
        """Lets those go on that wait for a unit."""
        ...

    def fail(self, unit: Unit, failure: Failure) -> None:
        """Fails a unit."""
        ...

    def rerun(self, job: Job) -> None:
        """Lets the body of a job run that was to be answered with its reduction."""
        ...

    def tag(self, job: Job, value: Digest, wanted: Tagging) -> None:
        """Notes tags for a value, for the job around and for the execution."""
        ...

    def read_context(self, job: Job, path: str) -> tuple[bool, Any]:
        """Returns whether the context of a job has something at a path, and what."""
        ...


#: In place of a request: the scheduler task has returned.
_CONCLUSION: Final = object()


class Controls:
    """Runs the scheduler tasks of one evaluation."""

    def __init__(
        self, evaluation: Evaluation, expander: Expander, resolver: Resolver, ready: Callable[[Unit], object]
    ) -> None:
        self._evaluation = evaluation
        self._expander = expander
        self._resolver = resolver
        self._ready = ready

    def advance(self, control: Control) -> None:
        """Does the next step of a scheduler task, for which everything that it waits for has ended."""
        try:
            if control.request is None:
                self._start(control)
            elif control.request is _CONCLUSION:
                self._conclude(control)
            else:
                self._resume(control)
        except UNWRITABLE:
            raise
        except Exception as error:  # noqa: BLE001  the user's own code may raise anything
            self._fail(control, _failure(control, error))

    # -- the steps ----------------------------------------------------------------------------------------------------

    def _start(self, control: Control) -> None:
        node = control.node
        args = [self._argument(control, arg) for arg in node.args]
        kwargs = {name: self._argument(control, arg) for name, arg in node.kwargs.items()}
        made = control.task.func(*args, **kwargs)
        if isinstance(made, GeneratorType):
            control.steps = made
            self._step(control, made, None)
        else:
            self._returned(control, made)

    def _resume(self, control: Control) -> None:
        failure, steps = _first_failure(control), control.steps
        assert steps is not None
        request = control.request
        control.poisoned = False
        if isinstance(request, Expecting):
            self._compare(control, steps, request, failure)
        elif isinstance(request, AttemptAll):
            self._step(control, steps, self._settled(control, request))
        elif isinstance(request, Attempt):
            if failure is not None and not isinstance(failure.error, request.errors):
                self._fail(control, failure)
            else:
                control.caught = failure
                self._step(control, steps, None if failure is None else failure.error)
        elif failure is not None:
            self._fail(control, failure)
        else:
            root, units = control.asked
            self._step(control, steps, self._resolver.value(self._resolver.resolve(root, units)))

    def _step(self, control: Control, steps: Generator[Any, Any, Any], sent: Any) -> None:
        try:
            request = steps.send(sent)
            while isinstance(request, (Reading, Tagging, Forking)):
                request = steps.send(self._at_once(control, request))
        except StopIteration as stop:
            self._returned(control, stop.value)
            return
        control.request = request
        if isinstance(request, (Attempt, AttemptAll)):
            handled = tuple(dict.fromkeys((*request.errors, *control.handled)))
            self._ask(control, request.expression if isinstance(request, Attempt) else request.value, True, handled)
        elif isinstance(request, Expecting):
            self._ask(control, request.expression, True, (Exception,) if request.failed else control.handled)
        else:
            self._ask(control, request, control.settles, control.handled)

    def _at_once(self, control: Control, request: Reading | Tagging | Forking) -> Any:
        """What is sent for a request that nothing is waited for."""
        scope = control.scope
        assert scope is not None
        if isinstance(request, Reading):
            return self._evaluation.read_context(scope, request.path)
        if isinstance(request, Tagging):
            value = self._evaluation.encoder.identify(self._resolver.resolve(*control.asked))
            self._evaluation.tag(scope, value, request)
            return None
        made = scope.made
        scope.made = []  # they end when they end: what is recorded of the job around does not depend on that
        reduction = reduce(self._evaluation.encoder, request.expression, self._evaluation.pin)
        self._expander.wanted(reduction, scope, True, ())
        scope.made = made
        return None

    def _compare(
        self, control: Control, steps: Generator[Any, Any, Any], request: Expecting, failure: Failure | None
    ) -> None:
        found = self._outcome(*control.asked, failure)
        if found == (request.digest, request.failed):
            self._step(control, steps, None)
        else:
            steps.close()
            assert control.scope is not None
            self._evaluation.rerun(control.scope)

    def _outcome(self, root: Arg, units: Sequence[Unit | None], failure: Failure | None) -> tuple[bytes, bool]:
        """The id of what an expression came to, and whether it failed.

        Raises:
            CannotEncode: if the error has no deterministic encoding.
        """
        encoder = self._evaluation.encoder
        if failure is not None:
            # One that was raised in another process is known as it was recorded; its class may be none that is here.
            return encoder.identify(failure.told or encoder.encode(failure.error)), True
        return encoder.identify(self._resolver.resolve(root, units)), False

    # -- async bodies -------------------------------------------------------------------------------------------------

    def await_(self, job: Job, expression: Any, ticket: Any) -> None:
        """Evaluates what an async body awaits; whoever holds the ticket is told what it came to.

        Raises:
            RedunError: if it cannot be evaluated.
        """
        awaits = job.awaits = job.awaits or Awaits()
        reduction, known = self._reduced(awaits, expression)
        units = self._expander.wanted(reduction, job, True, (), known)
        awaited = Awaited(job, expression, ticket)
        awaited.asked = (reduction.root, units)
        awaits.asked.append(awaited)
        awaits.live.update({id(e): unit for e, unit in zip(awaits.kept[-len(units) :], units, strict=True) if unit})
        for unit in _awaited(reduction.root, units):
            attach(awaited, unit)
        if awaited.waiting == 0:
            self._ready(awaited)

    def _reduced(self, awaits: Awaits, value: Any) -> tuple[Reduction, list[Unit | None]]:
        """The reduction of a value, and those of its units that are there already."""
        numbered: list[Any] = []
        reduction = reduce(self._evaluation.encoder, value, self._evaluation.pin, numbered)
        awaits.kept += numbered
        return reduction, [awaits.live.get(id(expression)) for expression in numbered]

    def tell(self, awaited: Awaited) -> tuple[Any, Any, BaseException | None]:
        """Returns (ticket, value, error) of something awaited that has come to its end."""
        awaited.ended = True
        failure = _first(awaited.asked)
        if failure is not None:
            return awaited.ticket, None, failure.error
        return awaited.ticket, self._resolver.value(self._resolver.resolve(*awaited.asked)), None

    def concluded(self, job: Job, value: Any) -> tuple[Reduction, list[Unit | None]]:
        """Returns the reduction of an async body that has returned: what it awaited, and what it returned; with the
        units that are there already.

        Raises:
            CodecError: if it has no deterministic encoding.
        """
        awaits = job.awaits
        assert awaits is not None
        steps: list[Any] = []
        for awaited in awaits.asked:
            if awaited.ended:
                steps += (awaited.expression, *self._outcome(*awaited.asked, _first(awaited.asked)))
            else:
                job.unkept = "its body did not wait for all that it awaited"
        found = self._reduced(awaits, AWAITS(*steps, value))
        if self._evaluation.encoder.wavered:  # what is written now is not what was awaited
            self._evaluation.encoder.wavered = False
            job.unkept = "it used a handle that it had given to a call"
        return found

    # -- the end of steps ---------------------------------------------------------------------------------------------

    def _returned(self, control: Control, value: Any) -> None:
        control.steps = None
        control.request = _CONCLUSION
        self._ask(control, value, control.settles, control.handled)

    def _conclude(self, control: Control) -> None:
        failure = _first_failure(control)
        if failure is not None:
            self._fail(control, failure)
            return
        control.result = self._resolver.resolve(*control.asked)
        control.asked = (0, ())
        self._evaluation.release(control)

    # -- asking -------------------------------------------------------------------------------------------------------

    def _ask(self, control: Control, value: Any, settles: bool, handled: Errors) -> None:
        """Evaluates what a scheduler task yielded or returned; the control is ready again once that has ended."""
        scope = control.scope
        assert scope is not None
        if type(value) is Operand:  # nearly always: a lazy argument as it stands
            attach(control, self._expander.outer(value, scope, settles, handled))
            control.asked = (value._redun_number, value._redun_units)
        else:
            reduction = reduce(self._evaluation.encoder, value, self._evaluation.pin)
            units = self._expander.wanted(reduction, scope, settles, handled) if reduction.nodes else ()
            control.asked = (reduction.root, units)
            for unit in _awaited(*control.asked):
                attach(control, unit)
        if control.waiting == 0:
            self._ready(control)

    def _argument(self, control: Control, arg: Arg) -> Any:
        def operand(number: int) -> Operand:
            node = control.nodes[number]
            if node.op == OUTER:
                assert node.operand is not None
                return node.operand
            return Operand(control.nodes, control.units, number)

        if type(arg) is int:
            return operand(arg)
        assert isinstance(arg, Encoded)
        if not arg.nodes:
            return self._resolver.value(arg)
        return Decoder(self._evaluation.fetch, operand).decode(arg.payload)

    def _settled(self, control: Control, request: AttemptAll) -> Settled:
        root, units = control.asked
        failures = [unit.failure for unit in _awaited(root, units) if unit.failure is not None]
        for failure in failures:
            if not isinstance(failure.error, request.errors):
                raise _Unhandled(failure)
        value = self._place(root, units)
        return Settled(value, tuple(failure.error for failure in failures))

    def _place(self, root: Arg, units: Sequence[Unit | None]) -> Any:
        def value(number: int) -> Any:
            unit = units[number]
            assert unit is not None
            return self._resolver.value(unit.result) if unit.failure is None else unit.failure.error

        if type(root) is int:
            return value(root)
        assert isinstance(root, Encoded)
        return Decoder(self._evaluation.fetch, value).decode(self._resolver.payload(root))

    def _fail(self, control: Control, failure: Failure) -> None:
        if control.steps is not None:
            control.steps.close()
            control.steps = None
        self._evaluation.fail(control, failure)


class _Unhandled(Exception):
    """Carries a failure that was not asked for out of a step."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


def _failure(control: Control, error: Exception) -> Failure:
    if isinstance(error, _Unhandled):
        return error.failure
    caught = control.caught
    if caught is not None and caught.error is error:
        return caught  # raised again: it is still the failure of the job that it came from
    return Failure(error, None, control.scope)


def _awaited(root: Arg, units: Sequence[Unit | None]) -> Iterable[Unit]:
    return [unit for number in needs([root]) if (unit := units[number]) is not None]


def _first_failure(control: Control) -> Failure | None:
    """The failure of what was asked for that stands first in its expression."""
    return _first(control.asked)


def _first(asked: tuple[Arg, Sequence[Unit | None]]) -> Failure | None:
    return next((unit.failure for unit in _awaited(*asked) if unit.failure is not None), None)
