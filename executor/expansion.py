"""Expansion: the units that a table of expressions becomes, and who of them waits for whom.

All of a table is wanted at once, unless scheduler tasks stand in it: what only they refer to is made when one asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from redun.core.digest import Digest
from redun.core.expressions import Operand
from redun.core.keys import Prepared
from redun.core.reduction import CALL, CONTROL, OPERATION, OUTER, Arg, Node, Reduction, needs
from redun.core.tasks import Task, registry
from redun.core.values import Encoder
from redun.executor.fingerprints import Fingerprints
from redun.executor.jobs import Control, Errors, Job, Operation, Unit
from redun.executor.states import State


class Expander:
    """Makes units.

    Attributes:
        counts: full name -> [pending, running, failed, cached, done] jobs.
        unfinished: jobs that have been made and have not ended.
    """

    def __init__(self, encoder: Encoder, fingerprints: Fingerprints, ready: Callable[[Unit], object]) -> None:
        self._encoder = encoder
        self._fingerprints = fingerprints
        self._ready = ready
        self._known: set[Digest] = set()
        self.counts: dict[str, list[int]] = {}
        self.unfinished: set[Job] = set()

    def job(self, node: Node, scope: Job | None) -> Job:
        """Returns a job for one call, which waits for nothing yet.

        Raises:
            RedunError: if its task is not known, or its code cannot be told.
        """
        task = node.task or registry.find(node.name)
        return self._made(node, scope, task, self._prepared(task), self._row(task))

    def begin(self, unit: Unit) -> None:
        """Puts a unit that waits for nothing among those that are ready."""
        if isinstance(unit, Job):
            unit.move(State.WAITING)
        self._ready(unit)

    def expand(self, reduction: Reduction, scope: Job) -> Sequence[Unit | None]:
        """Returns the units of a table by node number; those that wait for nothing are ready, in its order.

        Raises:
            RedunError: as `job`.
        """
        if reduction.controls:
            return self.wanted(reduction, scope, scope.settles, scope.handled)
        units = self._units(reduction.nodes, scope)
        for unit in units:
            for arg in unit.node.args:
                link(unit, arg, units)
            for arg in unit.node.kwargs.values():
                link(unit, arg, units)
            if unit.node.lazy_options is not None:
                for arg in unit.node.lazy_options.values():
                    link(unit, arg, units)
        for unit in units:
            unit.units = units  # where its arguments are found; a job's own reduction takes their place later
            if unit.waiting == 0:
                self.begin(unit)
            elif isinstance(unit, Job):
                unit.move(State.WAITING)
        return units

    def wanted(
        self,
        reduction: Reduction,
        scope: Job,
        settles: bool,
        handled: Errors,
        known: Sequence[Unit | None] | None = None,
    ) -> list[Unit | None]:
        """Returns the units of a table of which only what its root needs has been made.

        Args:
            settles, handled: what the new units are to be; see `Unit`.
            known: units of the table that are there already.

        Raises:
            RedunError: as `job`.
        """
        if not scope.made:
            scope.made = []
        units: list[Unit | None] = [None] * len(reduction.nodes) if known is None else list(known)
        self._want(reduction.nodes, units, needs([reduction.root]), scope, settles, handled)
        return units

    def _want(
        self,
        nodes: Sequence[Node],
        units: list[Unit | None],
        numbers: Iterable[int],
        scope: Job,
        settles: bool,
        handled: Errors,
    ) -> None:
        """Makes the units of these nodes and of all that they need, where they have none."""
        fresh: list[tuple[int, Unit]] = []
        stack = list(numbers)
        while stack:
            number = stack.pop()
            if units[number] is not None:
                continue
            node = nodes[number]
            if node.op == OUTER:
                assert node.operand is not None
                units[number] = self.outer(node.operand, scope, settles, handled)
                continue
            unit = units[number] = self._unit(node, nodes, scope)
            unit.settles, unit.handled = settles, handled
            fresh.append((number, unit))
            if node.op != CONTROL:  # which decides for itself what it needs
                stack += node.inputs()
        own = scope.reduction is not None and nodes is scope.reduction.nodes
        for _, unit in sorted(fresh, key=_number):
            unit.units = units
            if not own or type(unit) is Control:
                scope.made.append(unit)
            if unit.node.op != CONTROL:
                for number in unit.node.inputs():
                    found = units[number]
                    assert found is not None
                    attach(unit, found)
            if unit.waiting == 0:
                self.begin(unit)
            elif isinstance(unit, Job):
                unit.move(State.WAITING)

    def outer(self, operand: Operand, scope: Job, settles: bool, handled: Errors) -> Unit:
        """Returns the unit that an argument of a scheduler task stands for, made where nobody wanted it before."""
        units, number = operand._redun_units, operand._redun_number
        if units[number] is None:
            self._want(operand._redun_nodes, units, [number], scope, settles, handled)
        unit: Unit = units[number]
        return unit

    def _unit(self, node: Node, nodes: Sequence[Node], scope: Job) -> Unit:
        if node.op == OPERATION:
            return Operation(node, scope)
        if node.op == CALL:
            return self.job(node, scope)
        task = node.task or registry.find(node.name)
        return Control(node, scope, task, self._prepared(task), nodes)

    def _units(self, nodes: list[Node], scope: Job) -> list[Unit]:
        units: list[Unit] = []
        known: dict[int, tuple[Task[..., Any], Prepared, list[int]]] = {}
        for node in nodes:
            if node.op != CALL:
                units.append(Operation(node, scope))
                continue
            task = node.task or registry.find(node.name)
            found = known.get(id(task))
            if found is None:
                found = known[id(task)] = (task, self._prepared(task), self._row(task))
            units.append(self._made(node, scope, *found))
        if scope.settles:
            for unit in units:
                unit.settles, unit.handled = True, scope.handled
        return units

    def _made(self, node: Node, scope: Job | None, task: Task[..., Any], prepared: Prepared, counts: list[int]) -> Job:
        job = Job(node, scope, task, prepared)
        self.unfinished.add(job)
        counts[0] += 1
        return job

    def _row(self, task: Task[..., Any]) -> list[int]:
        return self.counts.setdefault(task.fullname, [0, 0, 0, 0, 0])

    def _prepared(self, task: Task[..., Any]) -> Prepared:
        prepared = self._fingerprints.prepare(task)
        if prepared.digest not in self._known:
            self._known.add(prepared.digest)
            self._encoder.add(prepared.objects)
        return prepared


def _number(item: tuple[int, Unit]) -> int:
    return item[0]


def link(unit: Unit, arg: Arg, units: Sequence[Unit | None]) -> None:
    """Makes a unit wait for the nodes of an argument, none of which has ended yet."""
    if type(arg) is int:
        units[arg].dependants.append(unit)  # type: ignore[union-attr]  # what is waited for was made
        unit.waiting += 1
    else:
        for number in arg.nodes:  # type: ignore[union-attr]  # an Arg that is no number is Encoded
            units[number].dependants.append(unit)  # type: ignore[union-attr]
            unit.waiting += 1


def attach(unit: Unit, other: Unit) -> None:
    """Makes a unit wait for another, which may have ended."""
    if other.failure is not None:
        unit.poisoned = True
    elif other.result is None:
        other.dependants.append(unit)
        unit.waiting += 1
