"""Cache keys: what would run, and what it would run on.

    key = H(task object, id of each bound argument, ids of the user's own code that the arguments carry)

Arguments are bound first, so that positional and keyword spellings of one call are one call. The code of the classes of
the arguments is in the key and not in the values' ids: ids stay equal across machines, and a class whose method was
edited still makes its consumers run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from redun.core import classes as _classes  # noqa: F401  it adds the handlers of classes to those of values
from redun.core import codes
from redun.core.adapters.registry import register
from redun.core.constants import freeze_names
from redun.core.decoding import Decoder
from redun.core.digest import OBJECT_FORMATS, Digest, Key, ObjectFormat
from redun.core.errors import CannotDecode, CannotEncode
from redun.core.fingerprint import Ownership, code_fingerprint, fingerprint
from redun.core.ownership import principal
from redun.core.parameters import POSITIONAL, POSITIONAL_ONLY, VAR_KEYWORD, VAR_POSITIONAL
from redun.core.reduction import reduce
from redun.core.tasks import Task, registry
from redun.core.uses import Binding
from redun.core.values import Encoded, Encoder


@dataclass(frozen=True, slots=True)
class LazyDefault:
    """A default that is or holds expressions: each job that takes it evaluates them."""

    value: Any


@dataclass(slots=True)
class Prepared:
    """A task as one object format sees it, made once and kept.

    Attributes:
        digest: id of the task object: its identity.
        source: id of its exact source.
        objects: what a store needs to have of it.
        cacheable: False where its code could not be verified: then it always runs.
        names: parameter names in order.
        simple: number of parameters where all are plain positional ones, else -1.
        defaults: defaults as encoded values, or as they were written where they hold expressions.
        default_ids: ids of those: of the value, or of the `expr` where it holds expressions.
        lazy: whether a default holds expressions.
        covers: `module:qualname` of the user's own functions and classes whose code is part of the fingerprint.
        bindings: what the names are bound to that its code uses; it is prepared anew where one does not hold any more.
    """

    task: Task[..., Any]
    digest: Digest
    source: Digest
    objects: dict[Digest, tuple[str, bytes]]
    cacheable: bool
    untracked: tuple[str, ...]
    names: tuple[str, ...]
    simple: int
    defaults: dict[str, Encoded | LazyDefault]
    default_ids: dict[str, Digest]
    lazy: bool
    covers: frozenset[str]
    bindings: tuple[Binding, ...]


class _Code(NamedTuple):
    """A class or function, its id (None where it is not the user's own), what a store needs to have of it, and the
    bindings on which that depends."""

    obj: Any
    digest: Digest | None
    objects: dict[Digest, tuple[str, bytes]]
    bindings: tuple[Binding, ...]


_FORMAT_BY_SIZE: Final = {fmt.size: fmt for fmt in OBJECT_FORMATS.values()}
_PREPARED: Final[dict[tuple[int, str], Prepared]] = {}
_CODE: Final[dict[tuple[int, str, Ownership], _Code]] = {}


def prepare(task: Task[..., Any], fmt: ObjectFormat) -> Prepared:
    """Returns the task's fingerprint and defaults, computed at first use: what its code uses is settled by then. It is
    computed again where a name that the code uses leads somewhere else since, as a notebook's cell can make it.

    Raises:
        CannotEncode: if a default or an item of `hash_includes` has no deterministic encoding.
    """
    main = principal(task.func)
    if main is not None:
        freeze_names(main.__globals__)
    found = _PREPARED.get((id(task), fmt.name))
    if found is not None and found.task is task and all(binding.holds() for binding in found.bindings):
        return found
    encoder = Encoder(fmt)
    print_ = fingerprint(task, encoder)
    kinds = [kind for _, kind in task.params]
    plain = all(kind in (POSITIONAL_ONLY, POSITIONAL) for kind in kinds)
    defaults: dict[str, Encoded | LazyDefault] = {}
    default_ids: dict[str, Digest] = {}
    for name, value in task.defaults.items():
        try:
            reduction = reduce(encoder, value)
        except CannotEncode as error:
            error.add_note(f"in the default of parameter {name} of task {task.fullname}")
            raise
        if reduction.nodes:
            defaults[name] = LazyDefault(value)
            default_ids[name] = encoder.put("expr", reduction.payload)
        else:
            defaults[name] = encoded = encoder.encode(value)
            default_ids[name] = encoder.identify(encoded)
    made = Prepared(
        task=task,
        digest=print_.digest,
        source=print_.source,
        objects=encoder.objects,
        cacheable=print_.record.code != "unknown",
        untracked=print_.untracked,
        names=tuple(name for name, _ in task.params),
        simple=len(kinds) if plain else -1,
        defaults=defaults,
        default_ids=default_ids,
        lazy=bool(task.lazy_options) or any(isinstance(default, LazyDefault) for default in defaults.values()),
        covers=frozenset(use.name for use in print_.record.uses if use.how in ("class", "function") and use.target),
        bindings=print_.bindings,
    )
    _PREPARED[id(task), fmt.name] = made
    return made


def renewed(prepared: Prepared, fmt: ObjectFormat) -> Prepared:
    """Returns the task with its defaults as they are now, where they stand for something outside: a default is made
    once a process, and a file may change between two runs in it."""
    outside = {n: d for n, d in prepared.defaults.items() if isinstance(d, Encoded) and d.externals}
    if not outside:
        return prepared
    encoder = Encoder(fmt)
    defaults, ids = dict(prepared.defaults), dict(prepared.default_ids)
    for name, default in outside.items():
        decoder = Decoder(prepared.objects.__getitem__)
        decoder.renews = True
        value = decoder.decode(default.payload)
        for external in decoder.externals:
            external.refresh()
        defaults[name] = encoded = encoder.encode(value)
        ids[name] = encoder.identify(encoded)
    objects = {**prepared.objects, **encoder.objects}
    return replace(prepared, defaults=defaults, default_ids=ids, objects=objects)


def code_id(
    obj: Any, fmt: ObjectFormat, consumer: Task[..., Any] | None = None
) -> tuple[Digest | None, dict[Digest, tuple[str, bytes]]]:
    """Returns the fingerprint of a class, function or task that a value refers to, and the objects it needs; None for
    code that is not the user's own, as the consumer sees it (a package that is installed is its own tasks' own)."""
    if isinstance(obj, Task):
        prepared = prepare(obj, fmt)
        return prepared.digest, prepared.objects
    own = Ownership.of(obj if consumer is None else consumer)
    found = _CODE.get((id(obj), fmt.name, own))
    if found is None or found.obj is not obj or not all(binding.holds() for binding in found.bindings):
        encoder = Encoder(fmt)
        digest, bindings = code_fingerprint(obj, encoder, own) if own.owns(obj) else (None, ())
        found = _CODE[id(obj), fmt.name, own] = _Code(obj, digest, encoder.objects, bindings)
    return found.digest, found.objects


def call_key(fmt: ObjectFormat, task: Digest, args: Iterable[Digest], code: Iterable[Digest] = ()) -> Key:
    """Returns the cache key of a call. The task fixes how many arguments there are, so nothing can be read two ways."""
    return Key(fmt.hash(b"".join((b"call\0", task, *args, *sorted(code)) if code else (b"call\0", task, *args))))


def error_key(fmt: ObjectFormat, key: Key) -> Key:
    """Returns the key under which the error is remembered that the body of a call raised."""
    return Key(fmt.hash(b"error\0" + key))


class BindError(TypeError):
    """Arguments that the task's parameters do not admit; worded as Python words it."""


def bind(
    prepared: Prepared,
    args: list[Encoded],
    kwargs: dict[str, Encoded],
    pack: Callable[[bool, Any], Encoded],
) -> tuple[list[Encoded | LazyDefault], tuple[str, ...]]:
    """Returns the arguments in the order of the parameters and the names of the defaults that were applied.

    `pack(is_mapping, parts)` encodes what `*args` (a list of encoded values) and `**kwargs` (a dict) gather.

    Raises:
        BindError: if they do not fit.
    """
    if len(args) == prepared.simple and not kwargs:
        return list(args), ()
    bound: list[Encoded | LazyDefault] = []
    applied: list[str] = []
    left = dict(kwargs)
    position = 0
    task = prepared.task
    for name, kind in task.params:
        if kind == VAR_POSITIONAL:
            bound.append(pack(False, args[position:]))
            position = len(args)
        elif kind == VAR_KEYWORD:
            bound.append(pack(True, {key: left[key] for key in sorted(left)}))
            left = {}
        elif kind in (POSITIONAL_ONLY, POSITIONAL) and position < len(args):
            if kind == POSITIONAL and name in left:
                raise BindError(f"{task.name}() got multiple values for argument {name!r}")
            bound.append(args[position])
            position += 1
        elif kind != POSITIONAL_ONLY and name in left:
            bound.append(left.pop(name))
        elif name in prepared.defaults:
            bound.append(prepared.defaults[name])
            applied.append(name)
        else:
            raise BindError(f"{task.name}() missing required argument: {name!r}{_unbound(task)}")
    if position < len(args):
        raise BindError(f"{task.name}() takes {position} positional arguments but {len(args)} were given")
    if left:
        raise BindError(f"{task.name}() got an unexpected keyword argument {next(iter(left))!r}")
    return bound, tuple(applied)


def _unbound(task: Task[..., Any]) -> str:
    """What is said of a method, whose first argument is an argument like every other."""
    if task.params[0][0] != "self" or "." not in task.__qualname__.rpartition("<locals>.")[2]:
        return ""
    return f" (a method that is a task is not bound: write {task.__qualname__}(obj, ...))"


def spread(task: Task[..., Any], values: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Returns bound values as the positional and keyword arguments to call the function with."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for (name, kind), value in zip(task.params, values, strict=True):
        if kind in (POSITIONAL_ONLY, POSITIONAL):
            args.append(value)
        elif kind == VAR_POSITIONAL:
            args.extend(value)
        elif kind == VAR_KEYWORD:
            kwargs.update(value)
        else:
            kwargs[name] = value
    return args, kwargs


# -- code as an external value ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CodeExternal:
    """A task, function or class inside a value: valid while what its name leads to has the same fingerprint.

    Attributes:
        name: full name of the task, or `module:qualname`.
        consumer: full name of the task that was given the value, where only that task sees the code as the user's own.
    """

    name: str
    digest: Digest
    consumer: str = ""

    def target(self) -> Any:
        """Returns what the name leads to, or None: nobody may have imported its module yet."""
        if ":" not in self.name:
            return registry.get(self.name)
        try:
            return codes.lookup(self.name)
        except CannotDecode:
            return None

    def is_valid(self) -> bool:
        """Returns whether the name still leads to that code."""
        target = self.target()
        fmt = _FORMAT_BY_SIZE[len(self.digest)]
        return target is not None and code_id(target, fmt, registry.get(self.consumer))[0] == self.digest

    def describe(self) -> str:
        """Returns the name."""
        return self.name

    def refresh(self) -> None:
        """Does nothing: it is made for what is registered now, and is no part of a value."""


def _state(_: Encoder, external: CodeExternal) -> list[Any]:
    state = [external.name, bytes(external.digest)]
    return [*state, external.consumer] if external.consumer else state


def _read(_: Decoder, state: Any) -> CodeExternal:
    return CodeExternal(state[0], Digest(state[1]), *state[2:])


register(CodeExternal, "redun.code", _state, _read)
