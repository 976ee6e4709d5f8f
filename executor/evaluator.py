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
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from redun.core.decoding import Decoder
from redun.core.digest import Digest, Key
from redun.core.errors import UNWRITABLE, CodecError, CycleError, RedunError
from redun.core.keys import BindError, LazyDefault, Prepared, bind, call_key
from redun.core.objects import Flag, How, Why
from redun.core.operations import OPERATIONS, is_pure
from redun.core.reduction import CALL, Arg, Node, Reduction, reduce
from redun.core.tasks import POSITIONAL, POSITIONAL_ONLY, Task, registry
from redun.core.values import Encoded, Encoder
from redun.executor.engine import ROOT
from redun.executor.fingerprints import Fingerprints
from redun.executor.jobs import Failure, Job, Method, Operation, Unit, is_method
from redun.executor.states import ENDED, State

Fetch = Callable[[Digest], tuple[str, Any]]


class Evaluator:
    """Evaluates one expression. Not thread-safe: it belongs to the scheduler's thread.

    Attributes:
        asks, runs, reduced, ended: commands; the scheduler takes them and empties the lists.
        counts: full name -> [pending, running, failed, cached, done] jobs.
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
        self.counts: dict[str, list[int]] = {}
        self.reducing: dict[Job, None] = {}
        self.failed = False
        self.root: Job | None = None
        self._numbers = 0
        self._work: deque[Unit] = deque()
        self._leaders: dict[Key, Job] = {}
        self._unfinished: set[Job] = set()
        self._known: set[Digest] = set()

    @property
    def rows(self) -> int:
        """Row numbers given out so far."""
        return self._numbers

    # -- events -------------------------------------------------------------------------------------------------------

    def submit(self, expression: Any) -> Job:
        """Starts evaluating; call once.

        Raises:
            CodecError: if the expression holds something that cannot be encoded.
        """
        reduction = reduce(self.encoder, expression)
        nodes = reduction.nodes
        if reduction.root == 0 and len(nodes) == 1 and nodes[0].op == CALL:
            job = self._job(nodes[0], None)
            self.root = job
            self._begin(job)
        else:
            job = self._job(Node(CALL, ROOT.fullname, [], {}, None, ROOT), None)
            self.root = job
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

    def returned(self, job: Job, value: Any) -> None:
        """The body returned."""
        try:
            reduction = reduce(self.encoder, value, self._pin)
        except UNWRITABLE:
            raise
        except (CodecError, RedunError) as error:
            error.add_note(f"in the value that task {job.task.fullname} returned")
            self.raised(job, Failure(error, None, job))
            return
        self._take(job, reduction)

    def _pin(self, task: Task[..., Any]) -> Digest:
        return self.fingerprints.prepare(task).digest

    def raised(self, job: Job, failure: Failure) -> None:
        """The body raised, or could not be run."""
        self._number(job)
        failure.origin = failure.origin or job
        self._fail(job, failure)

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
            if isinstance(unit, Job):
                if unit.state is State.WAITING:
                    self._key(unit)
                elif unit.state is State.REDUCING:
                    self._complete(unit)
                elif unit.state is State.JOINED:
                    self._settle_joined(unit)
            elif unit.scope is None or unit.scope.state not in ENDED:
                self._operate(unit)

    # -- making units -------------------------------------------------------------------------------------------------

    def _job(self, node: Node, scope: Job | None) -> Job:
        task = node.task or registry.find(node.name)
        return self._made(node, scope, task, *self._prepared(task))

    def _made(self, node: Node, scope: Job | None, task: Task[..., Any], prepared: Prepared, counts: list[int]) -> Job:
        job = Job(node, scope, task, prepared)
        self._unfinished.add(job)
        counts[0] += 1
        return job

    def _prepared(self, task: Task[..., Any]) -> tuple[Prepared, list[int]]:
        prepared = self.fingerprints.prepare(task)
        if prepared.digest not in self._known:
            self._known.add(prepared.digest)
            self.encoder.add(prepared.objects)
        return prepared, self.counts.setdefault(task.fullname, [0, 0, 0, 0, 0])

    def _count(self, job: Job, old: int, new: int) -> None:
        counts = self.counts[job.task.fullname]
        counts[old] -= 1
        counts[new] += 1

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
                found = known[id(task)] = (task, *self._prepared(task))
            units.append(self._made(node, scope, *found))
        return units

    def _link(self, unit: Unit, arg: Arg, units: Sequence[Unit]) -> None:
        if type(arg) is int:
            units[arg].dependants.append(unit)
            unit.waiting += 1
        else:
            for number in arg.nodes:  # type: ignore[union-attr]  # an Arg that is no number is Encoded
                units[number].dependants.append(unit)
                unit.waiting += 1

    def _expand(self, reduction: Reduction, scope: Job) -> list[Unit]:
        """Makes the units of a table; those that wait for nothing are ready, in the order of the table."""
        units = self._units(reduction.nodes, scope)
        for unit in units:
            for arg in unit.node.args:
                self._link(unit, arg, units)
            for arg in unit.node.kwargs.values():
                self._link(unit, arg, units)
        for unit in units:
            unit.units = units  # where its arguments are found; a job's own reduction takes their place later
            if unit.waiting == 0:
                self._begin(unit)
            elif isinstance(unit, Job):
                unit.move(State.WAITING)
        return units

    def _begin(self, unit: Unit) -> None:
        if isinstance(unit, Job):
            unit.move(State.WAITING)
        self._work.append(unit)

    # -- arguments and keys -------------------------------------------------------------------------------------------

    def _resolve(self, arg: Arg, units: Sequence[Unit]) -> Encoded:
        if type(arg) is int:
            result = units[arg].result
            assert result is not None
            if type(result) is Method:
                raise result.is_no_value()
            return result
        assert isinstance(arg, Encoded)
        return self._fill(arg, units) if arg.nodes else arg

    def _fill(self, template: Encoded, units: Sequence[Unit]) -> Encoded:
        """Returns the value that a template becomes when its nodes have theirs."""
        if template.is_list:
            found = self.encoder.joined([units[number].result for number in template.nodes])
            if found is not None:
                return found
        decoder = Decoder(self.fetch, lambda number: self.value(units[number].result))
        return self.encoder.encode(decoder.decode(template.payload))

    def payload(self, encoded: Encoded) -> bytes:
        """Returns the bytes of a value, fetched where only its id is at hand."""
        if encoded.payload or encoded.digest is None:
            return encoded.payload
        return bytes(self.fetch(encoded.digest)[1])

    def value(self, encoded: Encoded | None, *, veiled: bool = False) -> Any:
        """Returns a value of its own for one consumer: what can change is decoded anew each time. `veiled` as in the
        decoder: for values that are encoded again."""
        assert encoded is not None
        if encoded.plain:
            return encoded.obj
        if type(encoded) is Method:
            raise encoded.is_no_value()
        decoder = Decoder(self.fetch)
        decoder.veiled = veiled
        value = decoder.decode(self.payload(encoded))
        encoded.externals = tuple(decoder.externals)
        encoded.code = tuple(dict.fromkeys(decoder.code))
        encoded.inspected = True
        return value

    def _key(self, job: Job) -> None:
        if self._waits_for_defaults(job):
            return
        try:
            self._bind(job)
            identify = self.encoder.identify
            job.ids = ids = [arg.digest or identify(arg) for arg in job.args]
            code = () if all(arg.plain for arg in job.args) else self._code_ids(job)
            job.key = call_key(self.encoder.format, job.prepared.digest, ids, code)
            if code:
                job.coded = True
            job.check = hash((job.prepared.digest, *ids, *sorted(code)) if code else (job.prepared.digest, *ids))
        except UNWRITABLE:
            raise
        except (BindError, RedunError) as error:
            self._number(job)
            job.move(State.KEYED)
            self._fail(job, Failure(error, None, job))
            return
        job.move(State.KEYED)
        if self._joins(job, job.key):
            self.join(job)
        else:
            self.asks.append(job)

    def _joins(self, job: Job, key: Key) -> bool:
        """Whether the job shares another's answer at once. Where that holds externals, they are to be looked at first,
        and a job without a cache shares only what ran in this execution: then it only remembers its leader."""
        scope = job.cache_scope if job.options else "BACKEND"
        if scope == "NONE":
            return False
        leader = self._leaders.setdefault(key, job)
        if leader is job:
            return False
        if leader.state is State.CANCELLED:
            self._leaders[key] = job
            return False
        if leader.check != job.check:
            return False  # another call, whose key was made to be the same
        job.leader = leader
        if scope != "BACKEND" and not leader.has_run:
            return False
        result = leader.result
        return result is None or (result.inspected and not result.externals and not result.code)

    def _number(self, job: Job) -> None:
        if job.number < 0:
            job.number = self._numbers
            self._numbers += 1

    def leader(self, job: Job) -> Job:
        """Returns the job whose answer those of its key may share."""
        assert job.key is not None
        return self._leaders[job.key]

    def lead(self, job: Job) -> None:
        """The job does not share its leader's answer: from here on it is the one of its key."""
        job.leader = None
        if job.key is not None:
            self._leaders[job.key] = job

    def _waits_for_defaults(self, job: Job) -> bool:
        """Starts default arguments that are expressions, as children of the job; returns whether to wait for them."""
        if job.extras or not job.prepared.lazy:
            return False
        names = [name for name, kind in job.task.params[: len(job.node.args)] if kind in (POSITIONAL_ONLY, POSITIONAL)]
        needed = {n: d.value for n, d in job.prepared.defaults.items() if isinstance(d, LazyDefault)}
        needed = {n: d for n, d in needed.items() if n not in names and n not in job.node.kwargs}
        if not needed:
            return False
        self._number(job)
        job.reduction = reduce(self.encoder, needed)
        job.extras = self._expand(job.reduction, job)
        for unit in job.extras:
            unit.dependants.append(job)
            job.waiting += 1
        return True

    def _bind(self, job: Job) -> None:
        node, units = job.node, job.units
        args = [arg if type(arg) is Encoded and not arg.nodes else self._resolve(arg, units) for arg in node.args]
        if len(args) == job.prepared.simple and not node.kwargs:
            job.args = args  # nearly every call: positional arguments, all given
            job.units = ()
            return
        kwargs = {name: self._resolve(arg, units) for name, arg in node.kwargs.items()} if node.kwargs else {}
        bound, job.applied = bind(job.prepared, args, kwargs, self._gather)
        lazy = self._defaults(job)
        job.args = [
            lazy[name] if isinstance(arg, LazyDefault) else arg
            for name, arg in zip(job.prepared.names, bound, strict=True)
        ]
        job.units = ()

    def _defaults(self, job: Job) -> dict[str, Encoded]:
        """The values of the defaults that were expressions."""
        if not job.extras or job.reduction is None:
            return {}
        decoder = Decoder(self.fetch, lambda number: self.value(job.extras[number].result))
        root = job.reduction.root
        assert isinstance(root, Encoded)
        return {name: self.encoder.encode(value) for name, value in decoder.decode(root.payload).items()}

    def _gather(self, is_mapping: bool, parts: Any) -> Encoded:
        if is_mapping:
            return self.encoder.encode({name: self.value(part, veiled=True) for name, part in parts.items()})
        return self.encoder.encode(tuple(self.value(part, veiled=True) for part in parts))

    def _code_ids(self, job: Job) -> set[Digest]:
        found: set[Digest] = set()
        for arg in job.args:
            if not arg.plain:
                if not arg.inspected:
                    self.value(arg)
                for obj in arg.code:
                    digest, objects = self.fingerprints.code_id(obj, job.task)
                    if digest is not None:
                        found.add(digest)
                        self.encoder.add(objects)
        return found

    # -- reductions and results ---------------------------------------------------------------------------------------

    def _take(self, job: Job, reduction: Reduction) -> None:
        if reduction.nodes:
            self.reduced.append(job)
            self._reduce(job, reduction)
        else:
            job.reduction = reduction
            root = reduction.root
            assert isinstance(root, Encoded)
            self._finish(job, root)

    def _reduce(self, job: Job, reduction: Reduction) -> None:
        job.move(State.REDUCING)
        self.reducing[job] = None
        job.reduction = reduction
        try:
            job.units = self._expand(reduction, job)
        except UNWRITABLE:
            raise
        except RedunError as error:
            self._fail(job, Failure(error, None, job))
            return
        self._link(job, reduction.root, job.units)
        if job.waiting == 0:
            self._work.append(job)

    def _complete(self, job: Job) -> None:
        assert job.reduction is not None
        try:
            result = self._resolve(job.reduction.root, job.units)
        except UNWRITABLE:
            raise
        except RedunError as error:
            self._fail(job, Failure(error, None, job))
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
        self._release(job)

    def _release(self, unit: Unit) -> None:
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
            job.move(State.DONE)
            job.result = leader.result
            self._unfinished.discard(job)
            self.ended.append(job)
            self._release(job)
        elif leader.state is State.FAILED:
            assert leader.failure is not None
            self._fail(job, leader.failure)
        else:
            self.cancel(job)

    def _operate(self, unit: Unit) -> None:
        job = unit.scope
        assert job is not None
        name = unit.node.name
        try:
            operands = tuple(self._operand(arg, unit, name) for arg in unit.node.args)
            if not is_pure(name, operands):
                job.flags = (*job.flags, Flag("volatile", f"operation {name} on {type(operands[0]).__name__}"))
            result = OPERATIONS[name](*operands)
            if name == "getattr" and is_method(result):
                unit.result = Method(self._resolve(unit.node.args[0], unit.units), operands[1])
            else:
                unit.result = self.encoder.encode(result)
        except UNWRITABLE:
            raise
        except Exception as error:  # noqa: BLE001  the operands' own code may raise anything
            error.add_note(f"in the operation `{name}` on lazy values, in task {job.task.fullname}")
            self._fail(job, Failure(error, None, job))
            return
        self._release(unit)

    def _operand(self, arg: Arg, unit: Unit, name: str) -> Any:
        method = unit.units[arg].result if type(arg) is int else None
        if type(method) is Method:
            return getattr(self.value(method.owner), method.name)
        encoded = self._resolve(arg, unit.units)
        if encoded.plain or name == "call":
            return self.value(encoded)
        if encoded.obj is None:  # only looked at by operations that change nothing, so one copy serves them all
            encoded.obj = self.value(encoded)
        return encoded.obj

    # -- failure ------------------------------------------------------------------------------------------------------

    def _fail(self, job: Job, failure: Failure) -> None:
        failing: list[Job] = [job]
        while failing:
            job = failing.pop()
            if job.state in ENDED:
                continue
            self._count(job, _column(job), 2)
            job.move(State.FAILED)
            job.failure = failure
            self._unfinished.discard(job)
            self.reducing.pop(job, None)
            self.ended.append(job)
            waiting = [d for d in job.dependants if isinstance(d, Job) and d.leader is job and d.state is State.JOINED]
            failing.extend(waiting)
            if job.scope is not None:
                failing.append(job.scope)
            else:
                self.failed = True

    def stuck(self) -> CycleError | None:
        """Returns the error of a ring of jobs that wait for each other, once nothing runs and nothing is ready."""
        for job in self.unfinished():
            ring = _ring(job)
            if ring:
                names = " -> ".join(f"{j.task.fullname}" for j in [*ring, ring[0]])
                return CycleError(f"jobs wait for each other: {names}", hint="a task calls itself with equal arguments")
        return None


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
            inside = current.extras if current.state is State.WAITING else current.units
            current = next((unit for unit in inside if isinstance(unit, Job) and _waits(unit)), None)
    return path[path.index(current) :] if current is not None else []
