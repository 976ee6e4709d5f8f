"""What the evaluator works on: jobs (calls of tasks) and operations, linked by who waits for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redun.core.digest import Digest, Key
from redun.core.keys import Prepared
from redun.core.objects import Flag, How, TraceRecord, Why
from redun.core.reduction import CALL, Node, Reduction
from redun.core.tasks import Task
from redun.core.values import Encoded
from redun.executor.states import State, check_move


@dataclass(slots=True)
class Failure:
    """An error with the traceback of where it was raised, and the job in which that happened."""

    error: BaseException
    trace: TraceRecord | None
    origin: Job | None = None


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
        units: the table in which its arguments are found, by node number.
    """

    __slots__ = ("dependants", "node", "result", "scope", "units", "waiting")

    def __init__(self, node: Node, scope: Job | None) -> None:
        self.node = node
        self.scope = scope
        self.waiting = 0
        self.dependants: list[Unit] = []
        self.result: Encoded | None = None
        self.units: Sequence[Unit] = ()


class Operation(Unit):
    """An operation between jobs. It has no row in the history: it is part of its scope's reduction."""

    __slots__ = ()


class Job(Unit):
    """One evaluation of a call.

    The evaluator moves it and knows its reduction and result; the scheduler times it; the recorder names its call.

    Attributes:
        number: row number in the execution, given when the job is keyed; -1 before.
        args: bound arguments in the order of the parameters.
        applied: names of the parameters that took their defaults.
        reduction: what its body returned or the store remembered.
        units: the units of that reduction once it is there.
        extras: jobs that its default arguments called.
        leader: the job of the same key that it joined, or may join.
        call, head: ids of its recorded call and footprint.
    """

    __slots__ = (
        "applied",
        "args",
        "call",
        "caused",
        "compared",
        "executor",
        "ext",
        "extras",
        "failure",
        "flags",
        "head",
        "how",
        "key",
        "leader",
        "number",
        "options",
        "partial",
        "prepared",
        "reduction",
        "remembered",
        "started",
        "state",
        "stopped",
        "tally",
        "task",
        "tasks",
        "trace",
        "unkept",
        "why",
    )

    def __init__(self, node: Node, scope: Job | None, task: Task[..., Any], prepared: Prepared) -> None:
        super().__init__(node, scope)
        self.task = task
        self.prepared = prepared
        self.options: dict[str, Any] = (
            task.task_options if node.options is None else {**task.task_options, **node.options}
        )
        self.state = State.NEW
        self.number = -1
        self.args: Sequence[Encoded] = ()
        self.applied: tuple[str, ...] = ()
        self.key: Key | None = None
        self.leader: Job | None = None
        self.reduction: Reduction | None = None
        self.extras: Sequence[Unit] = ()
        self.failure: Failure | None = None
        self.how = How.RAN
        self.why = Why.NONE
        self.compared: Digest | None = None
        #: The row of the memo that answered: (call, head) pairs; what is among them need not be written again.
        self.remembered: Any = None
        self.caused = False
        #: Its answer is recorded but is no answer for later runs: an argument changed while the body ran.
        self.unkept = False
        self.executor = "default"
        self.started = 0
        self.stopped = -1
        self.partial: Digest | None = None
        self.call: Digest | None = None
        self.head: Digest | None = None
        self.trace: Digest | None = None
        self.tasks: Any = None
        self.ext: Digest | None = None
        self.flags: tuple[Flag, ...] = ()
        #: Jobs by task in its subtree, itself included; None for a single one.
        self.tally: dict[str, int] | None = None

    def move(self, state: State) -> None:
        """Changes the state.

        Raises:
            InternalError: if the table of states has no such move.
        """
        check_move(self.state, state)
        self.state = state

    def slim(self) -> None:
        """Lets go of what only the way to the result needed: a run may have a million jobs that have ended, and the
        garbage collector looks at whatever they hold."""
        self.node = SPENT
        self.args = ()
        self.units = ()
        self.extras = ()
        self.reduction = None
        self.remembered = None

    @property
    def parent(self) -> int:
        """Row number of the job that called it, -1 for the root."""
        return -1 if self.scope is None else self.scope.number

    def __repr__(self) -> str:
        return f"<Job {self.number} {self.task.fullname} {self.state.name}>"
