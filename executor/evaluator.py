"""The evaluator: a pure state machine over jobs. Events in, commands out.

    events      submit(expr)   hit(job, ...)   miss(job)   join(job)   started(job)   returned(job, value)
                raised(job, failure)   cancel(job)
    commands    asks (jobs whose keys the store is to be asked for)   runs (jobs whose bodies are to be run)
                reduced (jobs whose body has returned expressions)    ended (jobs that have ended, children first)

It does no I/O, starts no thread, reads no clock and never recurses: whatever becomes ready is put on a queue that
`advance` works off, so a chain of 100,000 dependent calls is a loop. Any order of completions is a valid history; tests
deliver them in every order. The one thing it is given to read with is `fetch`, for objects that cannot change.

Rules (CACHING.md): the same expression object is evaluated once in its parent; a job joins another of the same key; a
failing job fails its parent; siblings that have started are let finish.

Where somebody handles the failure (`catch`, or a run that keeps going) it *settles*: it goes from unit to unit along
the paths that values take, all that does not depend on it goes on, and of several the first in the order of the
expression counts. So timing decides nothing that a later run could be told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from redun.core.context import EMPTY, Context
from redun.core.digest import Digest
from redun.core.errors import UNWRITABLE, CodecError, CycleError, RedunError
from redun.core.keys import BindError
from redun.core.objects import Flag, How, Why
from redun.core.operations import OPERATIONS, is_pure
from redun.core.reduction import CALL, Node, Reduction, needs, reduce
from redun.core.scheduler_tasks import Tagging
from redun.core.tasks import Task
from redun.core.values import NO_OPTIONS, Encoded, Encoder
from redun.executor.binding import Binder
from redun.executor.controls import Controls
from redun.executor.engine import ROOT
from redun.executor.expansion import Expander, link
from redun.executor.fingerprints import Fingerprints
from redun.executor.jobs import Awaited, Control, Failure, Job, Method, Unit, is_method
from redun.executor.leaders import Leaders, Meeting, shares_failure
from redun.executor.resolution import Fetch, Resolver
from redun.executor.states import ENDED, State

#: Units that are told of failures.
_HANDLERS: Final = frozenset({Control, Awaited})


class Evaluator:
    """Evaluates one expression. Not thread-safe: it belongs to the scheduler's thread.

    Attributes:
        asks, runs, reduced, ended, told: commands; the scheduler takes them and empties the lists.
        counts: full name -> [pending, running, failed, cached, done] jobs.
        value, payload: read results; see `Resolver`.
        leader, lead: tell and set whose answer the jobs of a key share; see `Leaders`.
        reducing: jobs whose bodies have returned and whose children have not all ended, oldest first.
        failed: whether a failure has reached the root.
        root: the root job.
    """

    def __init__(self, encoder: Encoder, fetch: Fetch, fingerprints: Fingerprints | None = None) -> None:
        self.encoder = encoder
        self.fingerprints = fingerprints or Fingerprints(encoder.format)
        self.fetch = fetch
        self.asks: list[Job] = []
        self.runs: list[Job] = []
        self.reduced: list[Job] = []
        self.ended: list[Job] = []
        self.told: list[tuple[Any, Any, BaseException | None]] = []
        self.reducing: dict[Job, None] = {}
        self.failed = False
        self.root: Job | None = None
        #: Values and jobs that were given tags, and these.
        self.tagged: list[tuple[Job, Digest, Tagging]] = []
        self._numbers = 0
        self._work: deque[Unit] = deque()
        self._leaders = Leaders(encoder)
        self.leader = self._leaders.of
        self.lead = self._leaders.lead
        ready = self._work.append
        self._resolver = Resolver(encoder, fetch)
        self._expander = Expander(encoder, self.fingerprints, ready)
        self._binder = Binder(self.fingerprints, self._expander, self._resolver, self._number)
        self._controls = Controls(self, self._expander, self._resolver, ready)
        self._unfinished = self._expander.unfinished
        self.counts = self._expander.counts
        self.value = self._resolver.value
        self.payload = self._resolver.payload

    @property
    def rows(self) -> int:
        """Row numbers given out so far."""
        return self._numbers

    # -- events -------------------------------------------------------------------------------------------------------

    def submit(self, expression: Any, *, settles: bool = False, context: Context = EMPTY) -> Job:
        """Starts evaluating; call once.

        Args:
            settles: whether all that does not depend on a failure goes on.
            context: what jobs may ask for by name.

        Raises:
            CodecError: if the expression holds something that cannot be encoded.
        """
        reduction = reduce(self.encoder, expression)
        nodes = reduction.nodes
        if reduction.root == 0 and len(nodes) == 1 and nodes[0].op == CALL:
            job = self._expander.job(nodes[0], None)
            self.root = job
            _found(job, settles, context)
            self._expander.begin(job)
        else:
            job = self._expander.job(Node(CALL, ROOT.fullname, [], {}, None, ROOT), None)
            self.root = job
            _found(job, settles, context)
            job.move(State.WAITING)
            self._number(job)
            self._count(job, 0, 1)
            self._reduce(job, reduction)
        self.advance()
        return job

    def hit(self, job: Job, reduction: Reduction, how: How = How.STEP) -> None:
        """The store remembers what the job's body returned, or (`How.WHOLE`) the value that came of it."""
        self._number(job)
        job.move(State.HIT)
        job.how = how
        self._count(job, 0, 3)
        self._take(job, reduction)

    def counted(self, job: Job, tally: dict[str, int]) -> None:
        """A whole replay stands for this many jobs by task, itself included: they are counted, and numbers are kept for
        those inside it."""
        job.tally = tally
        for name, number in tally.items():
            row = self.counts.setdefault(name, [0, 0, 0, 0, 0])
            row[3] += number - (name == job.task.fullname)
        self._numbers += sum(tally.values()) - 1

    def miss(self, job: Job, why: Why, *, caused: bool = False) -> None:
        """The store has no answer: the body is to run. `caused`: an earlier answer was found wanting."""
        self._number(job)
        job.why = why
        job.caused = caused
        job.move(State.QUEUED)
        self.runs.append(job)

    def join(self, job: Job) -> None:
        """The job shares the answer of its leader, which has ended, or waits for it."""
        leader = job.leader
        assert leader is not None
        self._number(job)
        job.move(State.JOINED)
        job.how = How.JOINED
        self._count(job, 0, 3)
        if leader.state in ENDED:
            self._settle_joined(job)
        else:
            job.waiting = 1
            leader.dependants.append(job)

    def started(self, job: Job) -> None:
        """The job's body has been handed to a pool."""
        job.move(State.RUNNING)
        self._count(job, 0, 1)

    def requeued(self, job: Job) -> None:
        """A pool handed the job back without having begun its body."""
        job.move(State.QUEUED)
        self._count(job, 1, 0)

    def begin_anew(self, job: Job) -> None:
        """The job's body has failed, and is to be run again: what it awaited meanwhile is nobody's any more."""
        awaited = () if job.awaits is None else job.awaits.asked
        for unit in (*job.made, *awaited):
            unit.abandoned = True
        job.awaits, job.made = None, []
        self.requeued(job)

    def spare_number(self) -> int:
        """Gives out a row number that no job has: an attempt that failed has a row of its own."""
        self._numbers += 1
        return self._numbers - 1

    def returned(self, job: Job, value: Any) -> None:
        """The body returned: a value, or (in another process) the reduction that this is."""
        if type(value) is Reduction:
            self._take(job, value)
            return
        known: list[Unit | None] | None = None
        self.encoder.caller, self.encoder.options = job.key, job.options
        try:
            if job.awaits is None:
                reduction = reduce(self.encoder, value, self.pin)
            else:
                reduction, known = self._controls.concluded(job, value)
        except UNWRITABLE:
            raise
        except (CodecError, RedunError) as error:
            error.add_note(f"in the value that task {job.task.fullname} returned")
            self.raised(job, Failure(error, None, job))
            return
        finally:
            self.encoder.caller, self.encoder.returning, self.encoder.options = None, False, NO_OPTIONS
        self._take(job, reduction, known)

    def awaited(self, job: Job, expression: Any, ticket: Any) -> None:
        """The body of an async job awaits something; `told` will have the ticket and what came of it."""
        self.encoder.caller, self.encoder.options = job.key, job.options
        try:
            self._controls.await_(job, expression, ticket)
        except UNWRITABLE:
            raise
        except RedunError as error:
            self.told.append((ticket, None, error))
        finally:
            self.encoder.caller, self.encoder.returning, self.encoder.options = None, False, NO_OPTIONS

    def rerun(self, job: Job) -> None:
        """What an async body awaited is another thing now: it is to run."""
        for unit in (*job.units, *job.made):
            if unit is not None:
                unit.abandoned = True
        job.units, job.made, job.reduction = (), [], None
        job.remembered = job.call = None
        self.reducing.pop(job, None)
        self._count(job, _column(job), 0)
        job.how, job.why, job.caused = How.RAN, Why.AWAITED, True
        job.poisoned, job.waiting = False, 0
        job.move(State.QUEUED)
        self.runs.append(job)

    def raised(self, job: Job, failure: Failure) -> None:
        """The body raised, or could not be run."""
        self._number(job)
        failure.origin = failure.origin or job
        self.fail(job, failure)

    def failed_before(self, job: Job, failure: Failure) -> None:
        """The store remembers that the job's body raised an error, which somebody above handles."""
        self._number(job)
        job.how = How.STEP
        failure.origin = job
        self._count(job, 0, 3)
        self.fail(job, failure)

    def cancel(self, job: Job) -> None:
        """The job will not be run any more."""
        if job.state not in ENDED:
            self._count(job, _column(job), 2)
            job.move(State.CANCELLED)
            self._unfinished.discard(job)
            self.reducing.pop(job, None)
            self.ended.append(job)

    def unfinished(self) -> list[Job]:
        """Returns the jobs that have not ended, in the order in which they were made."""
        return sorted(self._unfinished, key=lambda job: job.number)

    def advance(self) -> None:
        """Works off everything that is ready."""
        work = self._work
        while work:
            unit = work.popleft()
            if unit.poisoned and type(unit) not in _HANDLERS:
                self._poisoned(unit)
            elif isinstance(unit, Job):
                if unit.state is State.WAITING:
                    self._key(unit)
                elif unit.state is State.REDUCING:
                    self._complete(unit)
                elif unit.state is State.JOINED:
                    self._settle_joined(unit)
            elif unit.scope is None or not (unit.abandoned or unit.scope.state in ENDED):
                if type(unit) is Control:
                    self._controls.advance(unit)
                elif type(unit) is Awaited:
                    self.told.append(self._controls.tell(unit))
                else:
                    self._operate(unit)

    # -- for scheduler tasks ------------------------------------------------------------------------------------------

    def pin(self, task: Task[..., Any]) -> Digest:
        """Returns the fingerprint of a task that a body made."""
        return self.fingerprints.prepare(task).digest

    def tag(self, job: Job, value: Digest, wanted: Tagging) -> None:
        """Notes tags for a value, for a job and for the execution; what is said of these is said in every run."""
        self.tagged.append((job, value, wanted))
        if wanted.job or wanted.execution:
            job.flags = (*job.flags, Flag("volatile", "it tags its job or execution"))

    def read_context(self, job: Job, path: str) -> tuple[bool, Any]:
        """Returns whether the context of a job has something at a path, and what."""
        if not job.reads:
            job.reads = {}
        job.reads[path] = job.context.id_at(path, self.encoder)
        return job.context.find(path)

    def _count(self, job: Job, old: int, new: int) -> None:
        counts = self.counts[job.task.fullname]
        counts[old] -= 1
        counts[new] += 1

    # -- arguments and keys -------------------------------------------------------------------------------------------

    def _key(self, job: Job) -> None:
        try:
            if job.node.lazy_options is not None:
                self._binder.choose_options(job)
            if job.prepared.lazy and not job.extras and self._binder.waits_for_defaults(job):
                return
            self._binder.bind(job)
        except UNWRITABLE:
            raise
        except (BindError, RedunError) as error:
            self._number(job)
            job.move(State.KEYED)
            self.fail(job, Failure(error, None, job))
            return
        job.move(State.KEYED)
        assert job.key is not None
        meeting = self._leaders.meet(job, job.key)
        if meeting is Meeting.ASK:
            self.asks.append(job)
        elif meeting is Meeting.JOIN:
            self.join(job)
        else:
            assert job.leader is not None
            assert job.leader.reduction is not None
            self.hit(job, job.leader.reduction)

    def _part(self, leader: Job) -> None:
        """A job has taken a step: those of other contexts who joined it take that by themselves."""
        for job in self._leaders.parting(leader):
            leader.dependants.remove(job)
            self._leave(job)
            assert leader.reduction is not None
            self.hit(job, leader.reduction)

    def _leave(self, job: Job) -> None:
        """Undoes that a job joined another."""
        self._count(job, 3, 0)
        job.move(State.KEYED)
        job.how = How.RAN
        job.waiting = 0
        if self._leaders.contexts_differ:
            self._leaders.part(job)
        self.lead(job)

    def _number(self, job: Job) -> None:
        if job.number < 0:
            job.number = self._numbers
            self._numbers += 1

    # -- reductions and results ---------------------------------------------------------------------------------------

    def _take(self, job: Job, reduction: Reduction, known: list[Unit | None] | None = None) -> None:
        if reduction.nodes:
            self.reduced.append(job)
            self._reduce(job, reduction, known)
        else:
            job.reduction = reduction
            root = reduction.root
            assert isinstance(root, Encoded)
            self._finish(job, root)

    def _reduce(self, job: Job, reduction: Reduction, known: list[Unit | None] | None = None) -> None:
        job.move(State.REDUCING)
        self.reducing[job] = None
        job.reduction = reduction
        try:
            if known is None:
                job.units = self._expander.expand(reduction, job)
            else:
                job.units = self._expander.wanted(reduction, job, job.settles, job.handled, known)
                job.made = [unit for unit in job.made if unit not in known]
        except UNWRITABLE:
            raise
        except RedunError as error:
            self.fail(job, Failure(error, None, job))
            return
        if self._leaders.contexts_differ:
            self._part(job)
        link(job, reduction.root, job.units)
        if job.waiting == 0:
            self._work.append(job)

    def _complete(self, job: Job) -> None:
        assert job.reduction is not None
        try:
            result = self._resolver.resolve(job.reduction.root, job.units)
        except UNWRITABLE:
            raise
        except RedunError as error:
            self.fail(job, Failure(error, None, job))
            return
        self._finish(job, result)

    def _finish(self, job: Job, result: Encoded) -> None:
        if job.how is How.RAN:
            self._count(job, 1, 4)
        job.move(State.DONE)
        job.result = result
        self.encoder.identify(result)
        self._end(job)

    def _end(self, job: Job) -> None:
        self._unfinished.discard(job)
        self.reducing.pop(job, None)
        self.ended.append(job)
        self.release(job)

    def release(self, unit: Unit) -> None:
        """Lets those go on that wait for a unit."""
        for dependant in unit.dependants:
            dependant.waiting -= 1
            if dependant.waiting == 0:
                self._work.append(dependant)
        unit.dependants = []

    def _settle_joined(self, job: Job) -> None:
        leader = job.leader
        assert leader is not None
        if leader.state is State.DONE:
            assert leader.result is not None
            if leader.how is How.WHOLE and leader.context is not job.context and not self._leaders.alike(leader, job):
                self._ask_again(job)
                return
            job.move(State.DONE)
            job.result = leader.result
            self._unfinished.discard(job)
            self.ended.append(job)
            self.release(job)
        elif leader.state is State.FAILED:
            assert leader.failure is not None
            self.fail(job, leader.failure)
        else:
            self.cancel(job)

    def _operate(self, unit: Unit) -> None:
        job = unit.scope
        assert job is not None
        name = unit.node.name
        try:
            operands = tuple(self._resolver.operand(arg, unit.units, name) for arg in unit.node.args)
            if not is_pure(name, operands):
                job.flags = (*job.flags, Flag("volatile", f"operation {name} on {type(operands[0]).__name__}"))
            result = OPERATIONS[name](*operands)
            if name == "getattr" and is_method(result):
                unit.result = Method(self._resolver.resolve(unit.node.args[0], unit.units), operands[1])
            else:
                unit.result = self.encoder.encode(result)
        except UNWRITABLE:
            raise
        except Exception as error:  # noqa: BLE001  the operands' own code may raise anything
            error.add_note(f"in the operation `{name}` on lazy values, in task {job.task.fullname}")
            self.fail(unit, Failure(error, None, job))
            return
        self.release(unit)

    # -- failure ------------------------------------------------------------------------------------------------------

    def fail(self, unit: Unit, failure: Failure) -> None:
        """Fails a unit, and those that its failure reaches at once: its scope, where nobody handles it before."""
        failing = [unit]
        while failing:
            unit = failing.pop()
            if isinstance(unit, Job):
                if unit.state in ENDED:
                    continue
                failing += self._end_failed(unit, failure)
            unit.failure = failure
            if unit.scope is None:
                self.failed = True
            elif unit.settles:
                self._poison(unit)
            else:
                failing.append(unit.scope)

    def _end_failed(self, job: Job, failure: Failure) -> list[Job]:
        """Ends a job that has failed; returns those that share its failure."""
        self._count(job, _column(job), 2)
        job.move(State.FAILED)
        job.failure = failure
        self._unfinished.discard(job)
        self.reducing.pop(job, None)
        self.ended.append(job)
        sharing: list[Job] = []
        staying = []
        for other in job.dependants:
            if isinstance(other, Job) and other.leader is job and other.state is State.JOINED:
                if not shares_failure(job, other):
                    self._ask_again(other)
                    continue
                sharing.append(other)
            staying.append(other)
        job.dependants = staying
        return sharing

    def _ask_again(self, job: Job) -> None:
        """A job that joined another is not to share its answer after all."""
        self._leave(job)
        self.asks.append(job)

    def _poison(self, unit: Unit) -> None:
        """Tells those that wait for a unit that it has failed."""
        for dependant in unit.dependants:
            if isinstance(dependant, Job) and dependant.leader is unit:
                continue  # it shares the failure, and has been failed
            dependant.waiting -= 1
            dependant.poisoned = True
            if dependant.waiting == 0:
                self._work.append(dependant)
        unit.dependants = []

    def _poisoned(self, unit: Unit) -> None:
        """All that a unit waited for has ended, and some of it failed: it fails with the first of these."""
        if not isinstance(unit, Job):
            if unit.scope is None or unit.scope.state not in ENDED:
                self.fail(unit, _first_failure(unit, unit.node.inputs()))
        elif unit.state is State.REDUCING:
            assert unit.reduction is not None
            self.fail(unit, _first_failure(unit, needs([unit.reduction.root])))
        elif unit.state is State.WAITING and unit.extras:
            assert unit.reduction is not None
            self._number(unit)
            failures = [extra.failure for extra in unit.extras if extra is not None and extra.failure is not None]
            self.fail(unit, failures[0])
        elif unit.state is State.WAITING:  # a call that was never made
            failure = _first_failure(unit, unit.node.inputs())
            self.cancel(unit)
            unit.failure = failure
            if unit.scope is None:
                self.failed = True
            else:
                self._poison(unit)

    def stuck(self) -> CycleError | None:
        """Returns the error of a ring of jobs that wait for each other, once nothing runs and nothing is ready."""
        for job in self.unfinished():
            ring = _ring(job)
            if ring:
                names = " -> ".join(f"{j.task.fullname}" for j in [*ring, ring[0]])
                return CycleError(f"jobs wait for each other: {names}", hint="a task calls itself with equal arguments")
        return None


def _found(root: Job, settles: bool, context: Context) -> None:
    """Gives the root job what it hands on to the others."""
    root.settles = settles
    if context is not EMPTY:
        root.hands_on = True
        root.context = context.updated(root.context.values)


def _first_failure(unit: Unit, numbers: Iterable[int]) -> Failure:
    """The failure of what a unit waited for that stands first."""
    for number in numbers:
        other = unit.units[number]
        if other is not None and other.failure is not None:
            return other.failure
    raise AssertionError("nothing that it waited for has failed")


def _column(job: Job) -> int:
    if job.how is not How.RAN:
        return 3
    return 1 if job.state in (State.RUNNING, State.REDUCING) else 0


def _waits(job: Job) -> bool:
    return job.state in (State.JOINED, State.REDUCING) or (job.state is State.WAITING and bool(job.extras))


def _ring(job: Job) -> list[Job]:
    """The jobs of a ring reached from `job` by following joins to their leaders and scopes to the joins inside them,
    among what they returned or among their defaults."""
    path: list[Job] = []
    seen: set[int] = set()
    current: Job | None = job
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        path.append(current)
        if current.state is State.JOINED:
            current = current.leader
        else:
            inside = current.extras if current.state is State.WAITING else [*current.units, *current.made]
            current = next((unit for unit in inside if isinstance(unit, Job) and _waits(unit)), None)
    return path[path.index(current) :] if current is not None else []
