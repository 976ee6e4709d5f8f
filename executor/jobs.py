"""What the evaluator works on: jobs (calls of tasks) and operations, linked by who waits for whom."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from types import BuiltinMethodType, MethodType, ModuleType
from typing import Any, Final

from redun.core.context import EMPTY, Context, paths
from redun.core.digest import Digest, Key
from redun.core.errors import CannotEncode
from redun.core.handle_states import Stateful
from redun.core.keys import Prepared
from redun.core.objects import Flag, How, TraceRecord, Why
from redun.core.reduction import CALL, Arg, Node, Reduction
from redun.core.tasks import CONTEXT, EXPORTED, Task
from redun.core.values import Encoded
from redun.executor.states import ALLOWED, State, wrong_move


@dataclass(slots=True)
class Failure:
    """An error with the traceback of where it was raised, and the job in which that happened.

    `told`, of an error that was raised in another process or in an earlier run: it as a value. `traces`, of one of
    another process: its traceback with those of its causes.
    """

    error: BaseException
    trace: TraceRecord | None
    origin: Job | None = None
    told: Encoded | None = None
    traces: tuple[TraceRecord, ...] = ()


NO_OPTIONS: Final[dict[str, Any]] = {}
_RESULTS: Final = frozenset({"CSE", "SINGLE", "ULTIMATE"})
_STORED: Final = frozenset({"SINGLE", "ULTIMATE"})
#: Classes of errors.
Errors = tuple[type[BaseException], ...]

#: The node of a job that has ended and is recorded.
SPENT: Final = Node(CALL, "", [], {})


class Unit:
    """Something whose value others wait for.

    Attributes:
        scope: the job whose reduction it is part of; None for the root.
        node: its expression.
        waiting: how many values it still waits for.
        dependants: units that wait for it, once for each time they mention it.
        result: its value when it has one.
        units: the table in which its arguments are found, by node number; None where no scheduler task wanted a node.
        failure: why it has no value, once that is known.
        poisoned: whether something that it waits for has failed.
        settles: whether its failure is for those who wait for it, and not at once for its scope.
        handled: classes of errors that somebody above waits for: errors of earlier runs may answer it.
    """

    #: Whether its scope has started anew without it.
    abandoned = False
    failure: Failure | None = None
    poisoned = False
    settles = False
    handled: Errors = ()

    def __init__(self, node: Node, scope: Job | None) -> None:
        self.node = node
        self.scope = scope
        self.waiting = 0
        self.dependants: list[Unit] = []
        self.result: Encoded | None = None
        self.units: Sequence[Unit | None] = ()


def is_method(obj: Any) -> bool:
    """Returns whether it is a method bound to an object. A builtin function is bound to its module, and is a value."""
    return isinstance(obj, (MethodType, BuiltinMethodType)) and not isinstance(obj.__self__, ModuleType)


class Method(Encoded):
    """A method of a lazy value, on its way to being called; it is no value by itself."""

    __slots__ = ("name", "owner")

    def __init__(self, owner: Encoded, name: str) -> None:
        super().__init__(b"")
        self.owner = owner
        self.name = name

    def is_no_value(self) -> CannotEncode:
        """Returns the error of using it otherwise."""
        return CannotEncode(f"method {self.name!r} of a lazy value is no value", hint="call it")


class Operation(Unit):
    """An operation between jobs. It has no row in the history: it is part of its scope's reduction."""


class Control(Unit):
    """One evaluation of a scheduler task: like an operation it is part of its scope's reduction.

    Attributes:
        task: the scheduler task.
        prepared: its fingerprint, on which its scope depends.
        nodes: the table that it stands in.
        steps: its generator, once it runs.
        request: what it asked for and is waiting for.
        asked: the expression of that, and the units of its table.
        caught: the failure that it was told of last.
    """

    prepared: Prepared
    steps: Generator[Any, Any, Any] | None = None
    request: Any = None
    asked: tuple[Arg, Sequence[Unit | None]]
    caught: Failure | None = None

    def __init__(self, node: Node, scope: Job, task: Task[..., Any], prepared: Prepared, nodes: Sequence[Node]) -> None:
        super().__init__(node, scope)
        self.task = task
        self.prepared = prepared
        self.nodes = nodes


class Awaited(Unit):
    """Something that an async body awaits.

    Attributes:
        ticket: whom to tell.
        asked: its expression, and the units of its table.
        ended: whether the body has been told.
    """

    asked: tuple[Arg, Sequence[Unit | None]]
    ended = False

    def __init__(self, scope: Job, expression: Any, ticket: Any) -> None:
        super().__init__(SPENT, scope)
        self.expression = expression
        self.ticket = ticket


class Awaits:
    """What the body of an async job has awaited.

    Attributes:
        asked: in the order in which it asked.
        live: `id` of an expression -> the unit that it has become; `kept` keeps these expressions alive.
    """

    def __init__(self) -> None:
        self.asked: list[Awaited] = []
        self.live: dict[int, Unit] = {}
        self.kept: list[Any] = []


def merged_options(declared: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Returns options of a task with those of a call over them. `cache` at the call replaces a declared `cache_scope`
    as well: they say the same thing."""
    merged = {**declared, **given}
    if "cache" in given and "cache_scope" not in given:
        merged.pop("cache_scope", None)
    return merged


def cache_scope(options: dict[str, Any]) -> str:
    """Returns where an answer for jobs with these options may come from: `BACKEND`, `CSE` or `NONE`."""
    if options.get("prov") is False:
        return "NONE"
    scope = options.get("cache_scope") or ("BACKEND" if options.get("cache", True) else "CSE")
    scope = str(getattr(scope, "name", scope))
    if "allowed_cache_results" in options and scope == "BACKEND" and not allowed_results(options) & _STORED:
        return "CSE"
    return scope


def allowed_results(options: dict[str, Any]) -> frozenset[str]:
    """Returns which of `CSE`, `SINGLE` and `ULTIMATE` may answer jobs with these options."""
    allowed = options.get("allowed_cache_results")
    return _RESULTS if allowed is None else frozenset(str(getattr(item, "value", item)) for item in allowed)


class Job(Unit):
    """One evaluation of a call.

    The evaluator moves it and knows its reduction and result; the scheduler times it; the recorder names its call.

    Attributes:
        number: row number in the execution, given when the job is keyed; -1 before.
        args: bound arguments in the order of the parameters.
        ids: their ids, once it has a key.
        applied: names of the parameters that took their defaults.
        reduction: what its body returned or the store remembered.
        units: the units of that reduction once it is there.
        extras: jobs that its default arguments called.
        leader: the job of the same key that it joined, or may join.
        call, head: ids of its recorded call and footprint.
    """

    # What most jobs never set is an attribute of the class: a run makes many jobs, and each assignment counts.
    applied: tuple[str, ...] = ()
    #: Whether more is to be known of its body than how it ends: it may take too long, or is a script.
    attended = False
    #: What its body awaits, where that is async.
    awaits: Awaits | None = None
    #: How often its body was begun: again where a worker was lost, or by its own option (`retried`).
    attempts = 1
    caused = False
    #: Whether the user's own code among its arguments is part of its key.
    coded = False
    compared: Digest | None = None
    context: Context = EMPTY
    #: (path, id of the value) of what its subtree has read of the context, once it is recorded.
    context_reads: tuple[tuple[str, Digest | None], ...] = ()
    executor = "default"
    #: Options that the jobs below it have, too.
    exported: dict[str, Any] = NO_OPTIONS
    #: Handles among its arguments.
    handles: tuple[Stateful, ...] = ()
    ext: Digest | None = None
    extras: Sequence[Unit | None] = ()
    flags: tuple[Flag, ...] = ()
    #: What it has of the run's limited resources.
    holds: tuple[tuple[str, int], ...] = ()
    how = How.RAN
    #: What those of its key join, where contexts differ and matter.
    joint: Key | None = None
    key: Key | None = None
    leader: Job | None = None
    #: States of files that it has named itself, as `trails` keeps them.
    mentions: list[Any] = []
    #: Scheduler tasks among its units, and what they made: neither is a node of its reduction.
    made: list[Unit] = []
    number = -1
    partial: Digest | None = None
    #: What it has read of the context itself.
    reads: dict[str, Digest | None] = {}
    reduction: Reduction | None = None
    #: The remote that was asked in this run and had the answer.
    remote = ""
    #: The calls of the memo row that answered: what is among them need not be written again.
    remembered: Any = None
    #: Paths of the context that its call replaces.
    replaced: Sequence[str] = ()
    retried = 0
    #: What of its earlier result did not hold, as in its row.
    stale: tuple[tuple[Digest, Digest | None], ...] = ()
    started = 0
    stopped = -1
    state = State.NEW
    #: Jobs by task in its subtree, itself included; None for a single one.
    tally: dict[str, int] | None = None
    tasks: Any = None
    #: Seconds that its body may take.
    timeout: float | None = None
    trace: Digest | None = None
    #: Why its answer is recorded but is none for later runs; empty where it is one.
    unkept = ""
    #: Whether the jobs inside its whole replay had to be counted one by one.
    walked = False
    why = Why.NONE
    #: Values that its body made outside, whatever there was before.
    wrote: frozenset[Digest] = frozenset()
    call: Digest | None = None
    #: Python's own hash of what its key is made of: other calls of that key can be built on purpose, but not so that
    #: this is the same, for it is keyed anew in each process.
    check = 0
    head: Digest | None = None
    #: Whether it has a context or options that the jobs below it have, too.
    hands_on = False
    args: Sequence[Encoded] = ()
    ids: Sequence[Digest] = ()
    units: Sequence[Unit | None] = ()

    def __init__(self, node: Node, scope: Job | None, task: Task[..., Any], prepared: Prepared) -> None:
        super().__init__(node, scope)
        self.task = task
        self.prepared = prepared
        self.options: dict[str, Any] = task.task_options
        if scope is not None and scope.hands_on:
            self.hands_on = True
            self.context = scope.context
            self.exported = scope.exported
        if node.options is not None or self.exported:
            self.choose_options(node.options or NO_OPTIONS)

    def choose_options(self, given: dict[str, Any]) -> None:
        """Gives the job its options: those of the task, then what jobs above export, then those of the call."""
        own = {name: value for name, value in given.items() if name not in (EXPORTED, CONTEXT)}
        exported = given.get(EXPORTED)
        if exported:
            self.hands_on = True
            self.exported = {**self.exported, **exported}
        options = merged_options(self.task.task_options, self.exported) if self.exported else self.task.task_options
        self.options = merged_options(options, own) if own else options
        if own.get("prov") is False:  # those below are not recorded either
            self.hands_on = True
            self.exported = {**self.exported, "prov": False}
        changes = given.get(CONTEXT)
        if changes:
            self.hands_on = True
            self.context = self.context.updated(changes)
            self.replaced = paths(changes)

    def move(self, state: State) -> None:
        """Changes the state.

        Raises:
            InternalError: if the table of states has no such move.
        """
        if not ALLOWED[self.state] >> state & 1:  # here and not in a function: a job makes half a dozen moves
            raise wrong_move(self.state, state)
        self.state = state

    def slim(self) -> None:
        """Lets go of what only the way to the result needed: a run may have a million jobs that have ended, and the
        garbage collector looks at whatever they hold."""
        if self.result is not None:
            self.result.release()
        self.node = SPENT
        self.args = ()
        self.ids = ()
        self.units = ()
        self.extras = ()
        self.made = []
        self.awaits = None
        if not self.context_reads:  # else those of other contexts may take the same step
            self.reduction = None
        self.remembered = None

    @property
    def is_recorded(self) -> bool:
        """Whether the history is to know of it."""
        return not self.options or self.options.get("prov") is not False

    @property
    def cache_scope(self) -> str:
        """`BACKEND`: earlier executions may answer it; `CSE`: only what ran in this one; `NONE`: its body runs."""
        return cache_scope(self.options)

    @property
    def recorded_call(self) -> Digest | None:
        """The call that its parent's call names; None for one that was never made."""
        # One that shares its leader's failure ends after the job around both.
        return self.leader.call if self.call is None and self.leader is not None else self.call

    @property
    def has_run(self) -> bool:
        """Whether its body runs or has run in this execution, so that not even a job without a cache repeats it."""
        return self.how is How.RAN and self.state is not State.KEYED

    @property
    def parent(self) -> int:
        """Row number of the job that called it, -1 for the root."""
        return -1 if self.scope is None else self.scope.number

    def __repr__(self) -> str:
        return f"<Job {self.number} {self.task.fullname} {self.state.name}>"
