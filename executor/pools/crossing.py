"""The run's side of what crosses to far workers: jobs become requests, outcomes become answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final, NamedTuple

from redun.core import codes, limits
from redun.core.classes import UnavailableError
from redun.core.codec import Pointer, references, unpack
from redun.core.decoding import Decoder
from redun.core.digest import Digest
from redun.core.errors import CodecError, MalformedObject, RedunError, UnknownTask
from redun.core.files.memo import STATS
from redun.core.files.remote.options import current, to_text
from redun.core.keys import code_id, prepare
from redun.core.objects import TraceRecord
from redun.core.ownership import own_packages
from redun.core.reduction import CALL, CONTROL, Reduction, read_reduction
from redun.core.tasks import Task, registry
from redun.core.values import Encoded, External
from redun.executor.evaluator import Evaluator
from redun.executor.failures import summary
from redun.executor.jobs import Job
from redun.executor.pending import Pending
from redun.executor.pools import sealed
from redun.executor.pools.contract import Told
from redun.executor.pools.messages import (
    ERROR,
    EXPRESSION,
    FATAL,
    LEAF,
    Call,
    Callee,
    Objects,
    Outcome,
    Request,
    Response,
    Secrets,
    Setup,
    pack_setup,
)
from redun.store.secret_key import secret_key

#: An argument of more bytes that is stored goes by its id.
_SENT_BYTES: Final = 16 * 1024


class FarWork(NamedTuple):
    """One job on its way to a far pool. `tag` is the job, handed back with the answer; `timeout` in seconds."""

    tag: Job
    callee: Callee
    call: Call
    objects: Objects
    secrets: Secrets
    timeout: float | None


def request_of(setup: bytes, works: Sequence[FarWork], *, tells: bool) -> Request:
    """Returns the request for jobs of one task."""
    objects: Objects = {}
    secrets: Secrets = {}
    for work in works:
        objects |= work.objects
        secrets |= work.secrets
    return Request(setup, tells, works[0].callee, [work.call for work in works], objects, secrets)


class Crossing:
    """Makes requests of jobs and answers of outcomes, for one run. It belongs to the run's thread.

    Args:
        evaluator, pending: of the run.
        said: is told what the body of a job says while it runs.
        reads_store: whether the workers read what is stored by themselves; else all that they need goes to them.
        spool: a directory for large messages, or empty.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        pending: Pending,
        said: Callable[[Job, list[str]], None],
        reads_store: bool,
        spool: str,
    ) -> None:
        self._evaluator = evaluator
        self._pending = pending
        self.said = said
        store = pending.store
        self._stored = reads_store and store.path is not None
        self._callees: dict[int, tuple[Task[..., Any], Callee]] = {}
        self.setup = pack_setup(
            Setup(
                store.format.name,
                [entry or os.getcwd() for entry in sys.path],
                os.getcwd(),
                own_packages(),
                str(store.path.resolve()) if self._stored and store.path is not None else "",
                b"" if self._stored else secret_key(store),
                spool,
                to_text(current()),
            )
        )

    # -- there --------------------------------------------------------------------------------------------------------

    def work(self, job: Job) -> FarWork:
        """Returns a job as it is sent.

        Raises:
            NotFound: if something that its arguments point to is missing.
        """
        objects: Objects = {}
        args = [arg.payload if arg.plain and arg.payload else self._argument(arg, objects) for arg in job.args]
        code: list[bytes] = []
        modules: list[str] = []
        if any(arg.code for arg in job.args):
            code, modules = self._code_of(job)
        secrets = sealed.gather([a for a in args if type(a) is bytes], self._pending.fetch)
        return FarWork(
            job,
            self._callee(job.task),
            Call(args, code, modules, job.key or b"", bool(job.options.get("archive"))),
            objects,
            secrets,
            job.timeout,
        )

    def _argument(self, arg: Encoded, objects: Objects) -> bytes | Pointer:
        payload = arg.payload
        if arg.digest is not None and (not payload or len(payload) > _SENT_BYTES):
            if self._stored and not self._pending.is_unwritten(arg.digest):
                return Pointer(arg.digest)
            payload = self._evaluator.payload(arg)
        self._bring(references(payload), objects)
        return payload

    def _bring(self, wanted: Sequence[Digest], objects: Objects) -> None:
        """Adds what the worker cannot read from the store."""
        waiting = list(wanted)
        while waiting:
            digest = waiting.pop()
            if digest in objects or (self._stored and not self._pending.is_unwritten(digest)):
                continue
            kind, payload = self._pending.fetch(digest)
            objects[digest] = kind, bytes(payload)
            if kind != "blob":
                waiting += references(payload)

    def _code_of(self, job: Job) -> tuple[list[bytes], list[str]]:
        found = dict.fromkeys(obj for arg in job.args for obj in arg.code)
        fmt = self._evaluator.encoder.format
        ids = {code_id(obj, fmt, job.task)[0] for obj in found} if job.coded else set()
        return sorted(digest for digest in ids if digest is not None), _modules_of(found)

    def _callee(self, task: Task[..., Any]) -> Callee:
        known = self._callees.get(id(task))
        if known is None or known[0] is not task:
            fingerprint = prepare(task, self._evaluator.encoder.format).digest
            known = task, Callee(task.fullname, task.module, *_file_of(task.module), fingerprint)
            self._callees[id(task)] = known
        return known[1]

    # -- and back -----------------------------------------------------------------------------------------------------

    def learn(self, response: Response) -> None:
        """Takes what a worker learned beside its outcomes."""
        if response.stats:
            STATS.learn(response.stats)
        if response.secrets:
            sealed.learn(response.secrets)

    def value(self, outcome: Outcome, task: Task[..., Any]) -> tuple[bool, Any]:
        """Returns whether the body returned, and the reduction that it returned or the error that it raised.

        Raises:
            DigestCollision, StoreFull: if the store refused what the worker had to write, or does so now.
        """
        if outcome.kind == LEAF:
            return True, Reduction(Encoded(outcome.payload, unpack(outcome.payload), True), [], b"")
        self._adopt(outcome)
        for module in outcome.modules:
            if module not in sys.modules:
                with suppress(Exception):  # then the value cannot be decoded here, which says so
                    import_module(module)
        if outcome.kind in (ERROR, FATAL):
            told = self._told(outcome)
            if outcome.kind == FATAL and isinstance(told.error, RedunError):
                raise told.error
            return False, told
        try:
            return True, self._reduction(outcome)
        except RedunError as error:
            error.add_note(f"in the value that task {task.fullname} returned")
            return False, self.refused(error)

    def refused(self, error: RedunError) -> Told:
        """Returns an error of ours in the place of one that a body raised."""
        return Told(error, self._evaluator.encoder.encode(error), (TraceRecord(summary(error)),))

    def _adopt(self, outcome: Outcome) -> None:
        encoder = self._evaluator.encoder
        for kind, payload in outcome.objects:
            digest = encoder.put(kind, payload)
            if kind == "blob" and encoder.write_blob is not None and len(payload) > limits.INLINE_BYTES:
                del encoder.objects[digest]
                encoder.write_blob(digest, payload)
        for blob, size in outcome.blobs:
            self._pending.adopt_blob(Digest(blob), size)

    def _told(self, outcome: Outcome) -> Told:
        value = Encoded(outcome.payload)
        value.inspected = True
        traces = tuple(TraceRecord.parse(payload) for payload in outcome.traces)
        try:
            decoder = Decoder(self._pending.fetch)
            error = decoder.decode(outcome.payload)
            value.externals, value.code = tuple(decoder.externals), tuple(dict.fromkeys(decoder.code))
        except Exception:  # noqa: BLE001  decoding may run the user's own __setstate__
            error = UnavailableError(traces[0].summary if traces else "an error that cannot be read")
        return Told(error, value, traces)

    def _reduction(self, outcome: Outcome) -> Reduction:
        if outcome.kind == EXPRESSION:
            return self._expression(outcome)
        root = Encoded(outcome.payload)
        reduction = Reduction(root, [], b"")
        self._inspect([root], reduction, plain=outcome.plain)
        return reduction

    def _expression(self, outcome: Outcome) -> Reduction:
        reduction = read_reduction(outcome.payload)
        inside: list[Encoded] = []
        for node in reduction.nodes:
            if node.op in (CALL, CONTROL) and registry.get(node.name) is None:
                raise UnknownTask(
                    f"task {node.name} was made by a body in another process",
                    hint="define it at the top level of a module, or run the body in threads",
                )
            args = (*node.args, *node.kwargs.values())
            inside += [arg for arg in args if isinstance(arg, Encoded) and not arg.plain]
        if isinstance(reduction.root, Encoded) and not reduction.root.inspected:
            inside.append(reduction.root)
        self._inspect(inside, reduction, plain=outcome.plain)
        return reduction

    def _inspect(self, values: list[Encoded], reduction: Reduction, *, plain: bool) -> None:
        """Notes what the values hold of things outside and of code.

        Raises:
            CodecError: if one cannot be decoded here.
        """
        externals: list[External] = []
        code: list[Any] = []
        for value in values:
            if not plain:
                decoder = Decoder(self._pending.fetch, lambda number: number)
                try:
                    decoder.decode(self._evaluator.payload(value))
                except CodecError:
                    raise
                except Exception as error:
                    raise MalformedObject(f"it cannot be made again: {type(error).__name__}: {error}") from error
                value.externals, value.code = tuple(decoder.externals), tuple(dict.fromkeys(decoder.code))
                externals += decoder.externals
                code += decoder.code
            value.inspected = True
        reduction.externals = tuple(externals)
        reduction.code = tuple(dict.fromkeys(code))


def _modules_of(code: dict[Any, None]) -> list[str]:
    names = (obj.module if isinstance(obj, Task) else codes.module_name(obj.__module__) for obj in code)
    return sorted({name for name in names if name})


def _file_of(module: str) -> tuple[str, str]:
    """Returns the file from which a worker has to load a module, and its package; empty texts where it is imported by
    its name."""
    loaded = sys.modules.get(module)
    if loaded is None and module == codes.main_name():
        loaded = sys.modules.get("__main__")
    spec = getattr(loaded, "__spec__", None)
    file = getattr(loaded, "__file__", None)
    by_name = spec is not None and spec.loader is not None and module in sys.modules
    return ("", "") if loaded is None or file is None or by_name else (os.path.abspath(file), loaded.__package__ or "")
