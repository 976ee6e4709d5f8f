"""Runs jobs in a process that is not the run's: requests in, answers out, both as bytes.

`run_job` is all that a worker needs. It may be called in any Python process that can import redun and the user's code:
a worker of ours, of `concurrent.futures`, of Dask. Whatever a body does is an answer; what `run_job` itself raises is
a fault of the installation or of the machine.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter_ns
from typing import Any, Final

import redun.executor.dropped  # noqa: F401  it listens
from redun.core import codes
from redun.core.classes import UnavailableError
from redun.core.codec import Pointer
from redun.core.decoding import Decoder
from redun.core.digest import Digest, object_format
from redun.core.errors import UNWRITABLE, CodecError, NotFound, RedunError, UnknownTask, WorkerCodeMismatch
from redun.core.files.memo import STATS
from redun.core.files.remote.options import configure, from_text
from redun.core.keys import code_id, prepare, spread
from redun.core.ownership import own_packages, set_own_packages
from redun.core.reduction import reduce
from redun.core.tasks import Task, registry
from redun.core.values import NO_OPTIONS, Encoded, Encoder
from redun.executor.failures import causes, summary, trace_of
from redun.executor.fingerprints import REBOUND
from redun.executor.loader import load_program
from redun.executor.pools import sealed
from redun.executor.pools.attended import Attended
from redun.executor.pools.contract import Answer, Work
from redun.executor.pools.messages import (
    ERROR,
    EXPRESSION,
    FATAL,
    LEAF,
    VALUE,
    Call,
    Callee,
    Message,
    Outcome,
    Response,
    Setup,
    pack_response,
    tells,
    unpack_request,
    unpack_setup,
)
from redun.executor.pools.messages import Objects as Sent
from redun.executor.pools.renewal import renewal
from redun.executor.pools.threads import ThreadPool
from redun.store import Store
from redun.store.blobs import FileBlobs
from redun.store.objects import Objects
from redun.store.secret_key import key_beside

#: First bytes of msgpack's extensions.
_EXTENSIONS: Final = frozenset({0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8})


def run_job(
    message: bytes,
    begin: Callable[[], None] | None = None,
    say: Callable[[int, list[str]], None] | None = None,
) -> Message:
    """Runs the jobs of a request and returns the answer.

    Args:
        begin: is called when the code is loaded and the first body begins, where the request asks to be told.
        say: is called with what a script says while it runs, and its place among the calls.

    Raises:
        InternalError: if another version of redun made the request.
        OSError: if it was kept in a file, and that cannot be read.
    """
    told = begin if begin is not None and tells(message) else None
    request = unpack_request(message)
    worker = _worker(request.setup)
    sealed.learn(request.secrets)
    worker.objects = request.objects
    try:
        task = worker.task(request.callee)
    except Exception as error:  # noqa: BLE001  importing runs the user's own code
        outcomes = [worker.failed(error, perf_counter_ns(), 0) for _ in request.calls]
    else:
        if told is not None:
            told()
        worker.say = say if task.is_script else None
        fingerprint = request.callee.fingerprint
        outcomes = [worker.run(task, call, fingerprint, place) for place, call in enumerate(request.calls)]
    worker.objects = {}
    known = sealed.among(part for o in outcomes for part in (o.payload, *(payload for _, payload in o.objects)))
    stats, STATS.fresh = STATS.fresh, {}
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a body may have closed or replaced it
            stream.flush()
    sent = perf_counter_ns()
    outcomes = [outcome._replace(age=sent - outcome.age) for outcome in outcomes]
    return pack_response(Response(outcomes, stats, known), worker.setup.spool)


def load_code(module: str, file: str = "", package: str = "") -> None:
    """Loads a module of the user's: by importing it, or from its file where that would not find it; see `Callee`.

    Raises:
        Exception: whatever its code raises.
    """
    loading.active = True
    try:
        if file:
            load_program(file, package)
        else:
            importlib.import_module(module)
    except Exception as error:
        error.add_note(f"while a worker loaded {file or module}")
        raise
    finally:
        loading.active = False


#: Directories for large messages of the runs that this process has worked for.
spools: Final[set[str]] = set()


class _Loading(threading.local):
    """Whether this thread loads the code of a workflow for a worker: what runs expressions then, runs them again in
    every worker, and so on without end."""

    active: bool = False


loading: Final = _Loading()


class _Worker:
    """What a worker keeps from one request to the next, as long as they are of one run.

    Attributes:
        objects: objects that came with the request that is being served.
        say: takes what a script says, and its place in the request.
    """

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.setup = setup = unpack_setup(packed)
        self.objects: Sent = {}
        self.say: Callable[[int, list[str]], None] | None = None
        self._callee: Callee
        self._format = object_format(setup.object_format)
        self._encoder = Encoder(self._format)
        self._encoder.secret_key = self._secret_key
        self._bodies = ThreadPool(1, SimpleQueue())
        self._modules = 0
        self._store: Store | None = None
        self._blobs: list[tuple[bytes, int]] = []
        if setup.store:
            self._files = Objects(self._format, FileBlobs(Path(setup.store)))
            self._encoder.write_blob = self._write_blob
        spools.add(setup.spool)
        _prepare_process(setup)

    def close(self) -> None:
        """Lets go of the store."""
        if self._store is not None:
            self._store.close()

    # -- what a job needs ---------------------------------------------------------------------------------------------

    def task(self, callee: Callee) -> Task[..., Any]:
        """Returns the task, loading its code where that has not happened.

        Raises:
            UnknownTask: if its module does not define it.
            WorkerCodeMismatch: if its code here is not that which the run knows.
            Exception: whatever the user's own code raises while it is imported.
        """
        task = registry.get(callee.fullname)
        if task is None:
            try:
                load_code(callee.module, callee.file, callee.package)
            except Exception:  # another workflow's tasks of the same names may be here
                if renewal.begin(callee.fingerprint, callee.module):
                    return self.task(callee)
                raise
            task = registry.get(callee.fullname)
        if task is None:
            if renewal.begin(callee.fingerprint, callee.module):
                return self.task(callee)
            raise UnknownTask(
                f"{callee.file or callee.module} defines no task {callee.fullname} when a worker loads it",
                hint="define it at the top level of a module, or run it in threads",
            )
        if prepare(task, self._format).digest != callee.fingerprint:
            if renewal.begin(callee.fingerprint, callee.module):
                return self.task(callee)
            raise _mismatch(f"task {callee.fullname}")
        renewal.found(callee.fingerprint)
        self._callee = callee
        return task

    def fetch(self, digest: Digest) -> tuple[str, Any]:
        """Returns (kind, payload) of an object that the request refers to.

        Raises:
            NotFound: if it is neither with the request nor in the store.
        """
        found = self.objects.get(digest)
        if found is not None:
            return found
        if not self.setup.store:
            raise NotFound(f"object {digest.hex()} did not come with its job")
        if self._store is None:
            self._store = Store.open(Path(self.setup.store), read_only=True)
        try:
            kind, payload = self._store.open_object(digest)
        except NotFound:  # a blob of the run, whose row is not written yet
            return "blob", self._store.written_blob(digest)
        return kind, payload if kind == "blob" else bytes(payload)

    def _secret_key(self) -> bytes:
        return self.setup.secret_key or key_beside(Path(self.setup.store))

    def _write_blob(self, digest: Digest, data: bytes | memoryview) -> None:
        self._files.write_file(digest, "blob", data)
        self._blobs.append((digest, len(data) if isinstance(data, bytes) else data.nbytes))

    # -- running ------------------------------------------------------------------------------------------------------

    def run(self, task: Task[..., Any], call: Call, fingerprint: bytes, place: int) -> Outcome:
        """Runs the body of one call. The `age` of the outcome is when it began."""
        decoder = Decoder(self.fetch)
        try:
            for module in call.modules:
                if module not in sys.modules:
                    load_code(module)
            values = [decoder.decode(self.fetch(a.digest)[1] if type(a) is Pointer else a) for a in call.args]
            code = tuple(dict.fromkeys(decoder.code)) if call.code else ()
            if call.code and self._code_ids(task, code) != set(call.code):
                raise _mismatch(f"the arguments of {task.fullname}")
            if call.code:
                renewal.found(b"".join(call.code))
            args, kwargs = spread(task, values)
        except Exception as error:  # noqa: BLE001  decoding may run the user's own __setstate__
            if call.code and renewal.begin(b"".join(call.code), task.module):
                return self.run(self.task(self._callee), call, fingerprint, place)
            return self.failed(error, perf_counter_ns(), 0)
        self._modules = len(sys.modules)
        function = self._script(task, place) if task.is_script else task.func
        ((answer,), _) = self._bodies.run_here([Work(None, function, args, kwargs)])
        outcome = self._outcome(task, answer, call)
        if len(sys.modules) != self._modules and (
            prepare(task, self._format).digest != fingerprint or self._code_ids(task, code) != set(call.code)
        ):
            return outcome._replace(unkept=REBOUND)
        return outcome

    def _script(self, task: Task[..., Any], place: int) -> Attended:
        # Here and not at the top: most workers run no scripts.
        from redun.executor.scripting.bodies import script_body

        return Attended(script_body(task.func), None if self.say is None else partial(self.say, place))

    def _code_ids(self, task: Task[..., Any], code: tuple[Any, ...]) -> set[bytes]:
        ids = (code_id(obj, self._format, task)[0] for obj in code)
        return {digest for digest in ids if digest is not None}

    def _outcome(self, task: Task[..., Any], answer: Answer, call: Call) -> Outcome:
        duration = answer.stopped - answer.started
        if not answer.ok:
            return self.failed(answer.value, answer.started, duration)._replace(nested=answer.nested)
        self._encoder.objects, self._blobs = {}, []
        self._encoder.caller, self._encoder.options = call.key, {"archive": call.archive}
        try:
            reduction = reduce(self._encoder, answer.value, self._pin)
        except UNWRITABLE as error:
            return self.failed(error, answer.started, duration)._replace(kind=FATAL)
        except (CodecError, RedunError) as error:
            error.add_note(f"in the value that task {task.fullname} returned")
            return self.failed(error, answer.started, duration)
        finally:
            self._encoder.caller, self._encoder.returning, self._encoder.options = None, False, NO_OPTIONS
        payload = reduction.payload
        kind = EXPRESSION
        if not reduction.nodes:
            assert isinstance(reduction.root, Encoded)
            payload = reduction.root.payload
            kind = LEAF if reduction.root.plain and payload[0] not in _EXTENSIONS else VALUE
        return Outcome(
            kind,
            payload,
            not (reduction.externals or reduction.code),
            list(self._encoder.objects.values()),
            self._blobs,
            _modules_of(reduction.code),
            [],
            answer.started,
            duration,
            answer.nested,
            "",
        )

    def _pin(self, task: Task[..., Any]) -> Digest:
        return prepare(task, self._format).digest

    def failed(self, error: BaseException, started: int, duration: int) -> Outcome:
        """Returns the outcome of an error, as a value and with its tracebacks."""
        self._encoder.objects, self._blobs = {}, []
        traces = [trace_of(one).payload() for one in causes(error)]
        try:
            encoded = self._encoder.encode(error)
        except (RedunError, TypeError, ValueError):  # its own attributes cannot be stored
            self._encoder.objects, self._blobs = {}, []
            encoded = self._encoder.encode(UnavailableError(summary(error)))
        objects = list(self._encoder.objects.values())
        modules = _modules_of(encoded.code)
        plain = not (encoded.externals or encoded.code)
        return Outcome(
            ERROR, encoded.payload, plain, objects, self._blobs, modules, traces, started, duration, False, ""
        )


class _Here(threading.local):
    """The worker that this thread is: bodies of several threads may run in one process."""

    worker: _Worker | None = None


_here: Final = _Here()


def _worker(packed: bytes) -> _Worker:
    worker = _here.worker
    if worker is None or worker.packed != packed:
        if worker is not None:
            worker.close()
        worker = _here.worker = _Worker(packed)
    return worker


def _prepare_process(setup: Setup) -> None:
    """Makes modules be found and files named as the run finds and names them."""
    wanted = [entry for entry in setup.path if os.path.exists(entry)]
    sys.path[:] = wanted + [entry for entry in sys.path if entry not in wanted]
    if os.getcwd() != setup.directory and os.path.isdir(setup.directory):
        os.chdir(setup.directory)
    if setup.own_packages != own_packages():
        set_own_packages(setup.own_packages)
    configure(from_text(setup.storage))


def _mismatch(what: str) -> WorkerCodeMismatch:
    return WorkerCodeMismatch(
        f"the code of {what} in a worker is not that of the run",
        hint="a file was edited meanwhile, or what it defines differs from process to process; run it again",
    )


def _modules_of(code: tuple[Any, ...]) -> list[str]:
    names = (obj.module if isinstance(obj, Task) else codes.module_name(obj.__module__) for obj in code)
    return sorted({name for name in names if name})
