"""Handles: values that stand for a *state* of something that tasks change, such as a database.

    class Conn(Handle):
        def __init__(self, name, path):
            self.instance = sqlite3.connect(path)

    @task()
    def insert(conn: Conn, rows: list) -> Conn:
        conn.executemany("insert into t values (?)", rows)
        return conn

A handle is stored as its class, name and arguments, and the state that it is in. Who decodes one gets an object whose
`__init__` runs when something of it is first asked for: looking at a stored handle opens no connection.

Every body that has a handle in its hands brings it to a state of its own: one that it returns is in that state, and so
is one that it gives to other calls after it has used it. One that it only made, or only passes on, stays as it was.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from collections.abc import Generator, Sequence
from typing import Any, ClassVar, Final, TypeVar, cast

from redun.core import codes
from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import CannotDecode, TaskError
from redun.core.expressions import Expression
from redun.core.handle_states import CURRENT, Position, Stateful, hashed, state_after
from redun.core.namespace import check_namespace, get_current_namespace
from redun.core.scheduler_tasks import scheduler_task
from redun.core.values import FINDERS, HANDLERS, Encoder, Handler

H = TypeVar("H", bound="Handle")

#: What the engine asks of a handle, which its resource may have methods of its own for.
_APART: Final = frozenset({"describe", "refresh"})


class HandleInfo:
    """What a handle is, beside its resource.

    Attributes:
        name, namespace: its name in two parts.
        args, kwargs: what its `__init__` is given after the name.
        line, states: see `Position`; empty until it is encoded for the first time.
        parents: see `Position`.
        is_open: whether its `__init__` has run, or is running.
        used: whether a body has asked for anything of it.
        given: whether a body gave it to a call before that.
        outside: whether it stands among the external values of another one, where no body has it.
    """

    __slots__ = (
        "args",
        "given",
        "is_open",
        "kwargs",
        "line",
        "name",
        "namespace",
        "outside",
        "parents",
        "states",
        "used",
    )

    def __init__(self, name: str, namespace: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.name = name
        self.namespace = namespace
        self.args = args
        self.kwargs = kwargs
        self.line = b""
        self.states: tuple[bytes, ...] = ()
        self.parents: tuple[bytes, ...] = ()
        self.is_open = False
        self.used = False
        self.given = False
        self.outside = False

    @property
    def fullname(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    @property
    def hash(self) -> str:
        """The state in hexadecimal; empty for a handle that no task was given or has returned."""
        return "+".join(state.hex() for state in self.states)

    def at(self, line: bytes, states: tuple[bytes, ...], parents: tuple[bytes, ...] = ()) -> HandleInfo:
        """Returns the same in another state."""
        made = HandleInfo(self.name, self.namespace, self.args, self.kwargs)
        made.line, made.states, made.parents = line, states, parents
        return made


class _HandleType(ABCMeta):
    """The type of the classes of handles: a handle that is made is not one that is used."""

    def __call__(cls, *given_args: Any, **kwargs: Any) -> Any:
        name, *args = given_args or [kwargs.pop("name", None)]
        if isinstance(name, Expression) or not isinstance(name, str) or not name:
            raise TaskError(f"{cls.__name__}(...): the first argument is the handle's name, not {name!r}")
        given = kwargs.get("namespace")
        own = getattr(sys.modules.get(cls.__module__), "redun_namespace", None) or cls.__dict__["_redun_namespace"]
        handle: Any = _bare(
            cls, HandleInfo(name, check_namespace(own if given is None else given), tuple(args), kwargs)
        )
        _open(handle)
        return handle


class Handle(Stateful, metaclass=_HandleType):
    """A state of a resource. Subclasses make the resource in `__init__(self, name, ...)` and keep it in `instance`:
    what the handle itself does not have is looked for there.

    The name, with its namespace, and the arguments say which resource it is: two handles that are alike in these are
    the same. A task that changes the resource returns the handle, and whoever needs that change takes it from there.
    """

    _redun_namespace: ClassVar[str] = ""
    __handle__: HandleInfo
    instance: Any

    def __init__(self, name: str, *args: Any, namespace: str | None = None, **kwargs: Any) -> None:
        """Makes the resource; a subclass does."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._redun_namespace = get_current_namespace()

    def __getattribute__(self, name: str) -> Any:
        if name == "is_valid":
            return lambda: _is_valid(self)
        if name in _APART:
            if not info_of(self).outside and hasattr(found := _resource(self), name):
                return getattr(found, name)
        elif name[:2] != "__":
            _take(self)
        return object.__getattribute__(self, name)

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__" or name == "instance":
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return getattr(self.instance, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _take(self)
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        info = info_of(self)
        state = f", state={'+'.join(state.hex()[:8] for state in info.states)}" if info.states else ""
        return f"{type(self).__name__}(name={info.fullname}{state})"

    def is_valid(self) -> bool:
        """Returns whether the resource is in this state, or went on from it. A subclass may look at the resource
        itself; a state that was rolled back is none in any case."""
        return Handle.__stands__(self)

    def __position__(self) -> Position:
        """Returns where the handle stands."""
        info = info_of(self)
        return Position(info.fullname, info.line, info.states, info.parents)

    def __stands__(self) -> bool:
        """Returns whether the resource was not rolled back behind this state, as the run of this thread knows it."""
        states = CURRENT.states
        return states is None or states.holds(Handle.__position__(self))

    def describe(self) -> str:
        """Returns its name, for people."""
        return f"handle {info_of(self).fullname}"

    def refresh(self) -> None:
        """Does nothing: only the tasks that made the state make it again."""


def info_of(handle: Handle) -> HandleInfo:
    """Returns what a handle is, beside its resource."""
    found: HandleInfo = object.__getattribute__(handle, "__handle__")
    return found


def _bare(cls: type, info: HandleInfo) -> Any:
    """A handle whose `__init__` has not run."""
    handle: Any = object.__new__(cls)
    object.__setattr__(handle, "__handle__", info)
    return handle


def _take(handle: Handle) -> None:
    """The resource is asked for."""
    info = info_of(handle)
    if not info.is_open:
        _open(handle)
    info.used = True


def _resource(handle: Handle) -> Any:
    """The resource of a handle that a body has, whose own methods come first; None where it is not there."""
    _take(handle)
    return object.__getattribute__(handle, "__dict__").get("instance")


def _outside(cls: type, info: HandleInfo) -> Any:
    """A handle as an external value."""
    info.outside = True
    return _bare(cls, info)


def _open(handle: Handle) -> None:
    info, make = info_of(handle), cast(Any, type(handle)).__init__
    info.is_open = True
    try:
        make(handle, info.name, *info.args, **info.kwargs)
    except BaseException:
        info.is_open = False
        raise
    info.used = False


def _is_valid(handle: Handle) -> bool:
    """Whether the state was not rolled back, and is valid in the eyes of its own class."""
    own = type(handle).is_valid
    if not Handle.__stands__(handle):
        return False
    if own is Handle.is_valid:
        return True
    try:
        return bool(own(handle))
    except Exception:  # noqa: BLE001  the user's own code: what cannot be looked at is not there
        return False


# -- as values --------------------------------------------------------------------------------------------------------


def _state(encoder: Encoder, handle: Handle) -> list[Any]:
    info, cls = info_of(handle), type(handle)
    name = codes.qualified_name(cls)
    line = info.line or _line(encoder, info)
    states, parents = info.states or (line,), info.parents
    if encoder.caller is not None and (info.used or encoder.returning):
        states, parents = (state_after(states, encoder.caller),), states
        if CURRENT.states is not None:
            CURRENT.states.reached(Position(info.fullname, line, states, parents))
        encoder.wavered = encoder.wavered or (info.given and info.used)
    elif encoder.caller is not None:
        info.given = True
    encoder.code.append(cls)
    encoder.externals.append(_outside(cls, info.at(line, states, parents)))
    return [name, info.name, info.namespace, list(info.args), info.kwargs, line, list(states)]


def _line(encoder: Encoder, info: HandleInfo) -> bytes:
    probe = Encoder(encoder.format)
    probe.secret_key = encoder.secret_key
    return hashed(b"handle\0", probe.encode([info.fullname, list(info.args), info.kwargs]).payload)


def _read(decoder: Decoder, state: Any) -> Handle:
    name, own, namespace, args, kwargs, line, states = state
    cls = codes.lookup(name)
    if not (isinstance(cls, type) and issubclass(cls, Handle)):
        raise CannotDecode(f"{name} is no class of handles any more")
    decoder.code.append(cls)
    info = HandleInfo(own, namespace, tuple(args), kwargs).at(line, tuple(states))
    decoder.externals.append(_outside(cls, info.at(info.line, info.states)))
    return cast(Handle, _bare(cls, info))


register(Handle, "redun.Handle", _state, _read)


def _finder(kind: type) -> Handler | None:
    return HANDLERS[Handle] if issubclass(kind, Handle) else None


FINDERS.insert(0, _finder)


# -- branches ---------------------------------------------------------------------------------------------------------


@scheduler_task(namespace="redun", name="merge_handles", version="1")
def _merge(handles: Any) -> Generator[Any, Any, Any]:
    return _merged((yield handles))


def merge_handles(handles: Sequence[H]) -> H:
    """Returns the handle with all that was done to it in several branches, which are handles of one name. It is valid
    as long as each of them is.

    Raises:
        TaskError: when it is evaluated, if they are no handles, none, or of different resources.
    """
    return cast(H, _merge(handles))


def _merged(handles: Any) -> Handle:
    if not isinstance(handles, (list, tuple)) or not handles or not all(isinstance(h, Handle) for h in handles):
        raise TaskError("merge_handles() takes a list of handles", hint="give it the results of tasks that return them")
    infos = [info_of(handle) for handle in handles]
    if len({info.line for info in infos}) > 1 or len({type(handle) for handle in handles}) > 1:
        names = ", ".join(sorted({info.fullname for info in infos}))
        raise TaskError(
            f"merge_handles() takes handles of one resource, not of several: {names}",
            hint="branches of one handle can be merged: same name, same arguments",
        )
    states = tuple(sorted({state for info in infos for state in info.states}))
    return cast(Handle, _bare(type(handles[0]), infos[0].at(infos[0].line, states)))
