"""From a call whose arguments have their values to the key that it is remembered by: defaults, binding, ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redun.core.call_options import check_call_options
from redun.core.decoding import Decoder
from redun.core.digest import Digest
from redun.core.job_info import NOT_KEYED
from redun.core.keys import LazyDefault, bind, call_key
from redun.core.parameters import POSITIONAL, POSITIONAL_ONLY
from redun.core.reduction import needs, reduce
from redun.core.values import Encoded
from redun.executor.expansion import Expander, attach
from redun.executor.fingerprints import Fingerprints
from redun.executor.jobs import Job
from redun.executor.resolution import Resolver, result_of


class Binder:
    """Binds the arguments of jobs. `number` gives a job its row number: what its defaults call are its children."""

    def __init__(
        self, fingerprints: Fingerprints, expander: Expander, resolver: Resolver, number: Callable[[Job], None]
    ) -> None:
        self._fingerprints = fingerprints
        self._expander = expander
        self._resolver = resolver
        self._encoder = resolver.encoder
        self._number = number

    def waits_for_defaults(self, job: Job) -> bool:
        """Starts default arguments that are expressions, as children of the job; returns whether to wait for them.

        Raises:
            RedunError: if they cannot be evaluated.
        """
        names = [name for name, kind in job.task.params[: len(job.node.args)] if kind in (POSITIONAL_ONLY, POSITIONAL)]
        needed = {n: d.value for n, d in job.prepared.defaults.items() if isinstance(d, LazyDefault)}
        needed = {n: d for n, d in needed.items() if n not in names and n not in job.node.kwargs}
        options = {n: value for n, value in job.task.lazy_options.items() if n not in job.options}
        if not needed and not options:
            return False
        self._number(job)
        job.reduction = reduce(self._encoder, [needed, options])
        job.extras = self._expander.expand(job.reduction, job)
        for number in needs([job.reduction.root]):
            unit = job.extras[number]
            assert unit is not None
            attach(job, unit)
        return job.waiting > 0

    def choose_options(self, job: Job) -> None:
        """Gives a job the options of its call that were expressions.

        Raises:
            RedunError: if one means nothing.
        """
        lazy = job.node.lazy_options or {}
        found = {name: self._resolver.value(self._resolver.resolve(arg, job.units)) for name, arg in lazy.items()}
        check_call_options(job.task.fullname, found)
        job.choose_options({**(job.node.options or {}), **found})

    def bind(self, job: Job) -> None:
        """Gives a job its arguments, their ids and its key.

        Raises:
            BindError: if the task's parameters do not admit the arguments.
            RedunError: if one of them cannot be made.
        """
        self._bind(job)
        encoder = self._encoder
        identify = encoder.identify
        job.ids = ids = self._ids(job) if job.task.unkeyed else [arg.digest or identify(arg) for arg in job.args]
        code = () if all(arg.plain for arg in job.args) else self._code_ids(job)
        job.key = call_key(encoder.format, job.prepared.digest, ids, code)
        if code:
            job.coded = True
        job.check = hash((job.prepared.digest, *ids, *sorted(code)) if code else (job.prepared.digest, *ids))

    def _ids(self, job: Job) -> list[Digest]:
        """The ids of arguments of which some are no part of the key."""
        unkeyed = job.task.unkeyed
        place = self._encoder.value(NOT_KEYED)
        return [place if at in unkeyed else self._encoder.identify(arg) for at, arg in enumerate(job.args)]

    def _bind(self, job: Job) -> None:
        node, units = job.node, job.units
        resolve = self._resolver.resolve
        args = [arg if type(arg) is Encoded and not arg.nodes else resolve(arg, units) for arg in node.args]
        if len(args) == job.prepared.simple and not node.kwargs and not job.extras:
            job.args = args  # nearly every call: positional arguments, all given
            job.units = ()
            return
        kwargs = {name: resolve(arg, units) for name, arg in node.kwargs.items()} if node.kwargs else {}
        bound, job.applied = bind(job.prepared, args, kwargs, self._gather)
        lazy = self._defaults(job)
        job.args = [
            lazy[name] if isinstance(arg, LazyDefault) else arg
            for name, arg in zip(job.prepared.names, bound, strict=True)
        ]
        job.units = ()

    def _defaults(self, job: Job) -> dict[str, Encoded]:
        """The values of the defaults that were expressions; the job is given its options that were."""
        if not job.extras or job.reduction is None:
            return {}
        root, extras, value = job.reduction.root, job.extras, self._resolver.value
        assert isinstance(root, Encoded)
        decoder = Decoder(self._resolver.fetch, lambda number: value(result_of(extras, number)))
        defaults, options = decoder.decode(root.payload)
        if options:
            check_call_options(job.task.fullname, options)
            job.options = {**options, **job.options}
        return {name: self._encoder.encode(found) for name, found in defaults.items()}

    def _gather(self, is_mapping: bool, parts: Any) -> Encoded:
        value = self._resolver.value
        if is_mapping:
            return self._encoder.encode({name: value(part, veiled=True) for name, part in parts.items()})
        return self._encoder.encode(tuple(value(part, veiled=True) for part in parts))

    def _code_ids(self, job: Job) -> set[Digest]:
        found: set[Digest] = set()
        for at, arg in enumerate(job.args):
            if not arg.plain and at not in job.task.unkeyed:
                if not arg.inspected:
                    self._resolver.value(arg)
                for obj in arg.code:
                    digest, objects = self._fingerprints.code_id(obj, job.task)
                    if digest is not None:
                        found.add(digest)
                        self._encoder.add(objects)
        return found
