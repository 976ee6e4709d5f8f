"""Tasks: decorated functions, their options, and the registry that finds them by name."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, Literal, ParamSpec, TypeVar, cast, overload

from redun.core import codes
from redun.core.call_options import check_call_options
from redun.core.decoding import READERS, Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotDecode, CannotEncode, DuplicateTask, TaskError, UnknownTask
from redun.core.expressions import TaskCall, is_lazy
from redun.core.job_info import JobInfo
from redun.core.namespace import check_name, check_namespace, get_current_namespace
from redun.core.parameters import (
    POSITIONAL,
    POSITIONAL_ONLY,
    VAR_KEYWORD,
    VAR_POSITIONAL,
    annotated_length,
    parameters,
    secret_parameters,
    unwrapped,
)
from redun.core.sources import Capture, capture
from redun.core.values import HANDLERS, PLAIN, Encoder

if TYPE_CHECKING:
    from inspect import Signature

P = ParamSpec("P")
Rest = ParamSpec("Rest")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")

#: The flag of code that is a coroutine's: `inspect.CO_COROUTINE`.
_COROUTINE: Final = 0x80
_CODE_MODES: Final = ("closure", "function", "version")
#: Options of a call that are none of its job alone: those for all jobs below it, and what it changes in their context.
EXPORTED: Final = "_exported"
CONTEXT: Final = "_context"
#: Options of `@task` that are part of the task itself rather than of how its jobs run.
_OWN: Final = frozenset(
    {"name", "namespace", "version", "hash_includes", "nout", "code", "track_versions", "source", "config_args"}
)


class _Running(threading.local):
    """What this thread is at.

    Attributes:
        body: whether it runs the body of a task: a task that is made then is known by its code, not only by name.
        nested: whether that body has run expressions itself: its value depends on more than what it names.
    """

    body: bool = False
    nested: bool = False


running: Final = _Running()


class Task(Generic[P, R]):
    """A function that is called lazily and whose calls are cached, recorded and run in parallel.

    Attributes:
        func: the function itself; call it to test the task without redun.
        name, namespace, fullname: its name; the full name is its identity in expressions and in the registry.
        params: (name, kind) of each parameter, kinds as in `inspect.Parameter.kind`.
        defaults: the default of each parameter that has one, as it was when the function was defined.
        task_options: options given to `@task`, those that steer its jobs (`cache`, `check_valid`, `executor`, ...).
        capture: its source, read when it was registered.
        made_in_body: whether it was made while the body of a task ran.
    """

    def __init__(self, func: Callable[P, R], options: Mapping[str, Any]) -> None:
        if isinstance(func, classmethod):
            raise TaskError("a class method cannot be called as it is", hint="write @classmethod above @task()")
        if not hasattr(func, "__qualname__"):  # a partial, an instance that can be called, or no callable at all
            raise TaskError(
                f"a task is made of a function, not of a {type(func).__name__}",
                hint="decorate the function itself; `task(f).partial(...)` has some of its arguments",
            )
        self.func = func
        inner = unwrapped(func)
        self.module: str = codes.module_name(inner.__module__)
        self.name = check_name(options.get("name") or func.__name__)
        namespace = options.get("namespace")
        if namespace is None:
            namespace = getattr(inner, "__globals__", {}).get("redun_namespace") or get_current_namespace()
        self.namespace = check_namespace(namespace)
        self.fullname = f"{self.namespace}.{self.name}" if self.namespace else self.name
        #: Stands for its code. A text given as `source` does, too: it is what is compared instead.
        self.version: str | None = _text_of(options.get("version", options.get("source")))
        self.code: str = options.get("code", "closure")
        self.hash_includes: tuple[Any, ...] = tuple(options.get("hash_includes") or ())
        self.track_versions: tuple[str, ...] = tuple(options.get("track_versions") or ())
        self.params, self.defaults = parameters(inner)
        self.task_options: dict[str, Any] = {k: v for k, v in options.items() if k not in _OWN and not is_lazy(v)}
        #: Options that are expressions, evaluated for each call as defaults are.
        self.lazy_options: dict[str, Any] = {k: v for k, v in options.items() if k not in _OWN and is_lazy(v)}
        self.capture: Capture = capture(func)
        #: Whether its body is a coroutine.
        self.is_coroutine = bool(getattr(getattr(inner, "__code__", None), "co_flags", 0) & _COROUTINE)
        #: Whether its function gives a command, which is what its jobs run.
        self.is_script = bool(options.get("script"))
        self._nout: int | None = options.get("nout")
        #: Parameters annotated as secrets.
        self.secrets: frozenset[str] = secret_parameters(inner)
        #: Parameters that are told of the job; places of those that are no part of the key, these among them.
        self.informed: tuple[str, ...] = tuple(n for n, value in self.defaults.items() if type(value) is JobInfo)
        self.unkeyed: tuple[int, ...] = _unkeyed(self, options.get("config_args") or ())
        #: Whether its calls are looked at before they are made.
        self.guarded = bool(self.secrets) or self.task_options.get("prov") is False
        #: The task that it wraps; see `wraps_task`.
        self.inner_task: Any = None
        self.wrapped_task: Any = None
        self.made_in_body = running.body
        self.__doc__ = func.__doc__
        self.__name__ = self.name
        self.__module__ = func.__module__
        self.__qualname__ = func.__qualname__
        self.__wrapped__ = func
        _check_options(self)

    # A call is typed as the value it will become, so that type checkers accept it wherever the value is wanted.
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.guarded:
            return cast(R, self.call_with({}, args, kwargs))
        return cast(R, TaskCall(self, args, kwargs))

    def __repr__(self) -> str:
        return f"Task(fullname={self.fullname})"

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def hash(self) -> str:
        """The id of its fingerprint in hexadecimal, as `redun log` shows it."""
        keys = importlib.import_module("redun.core.keys")  # they stand on tasks
        return str(keys.prepare(self, DEFAULT_FORMAT).digest.hex())

    @property
    def source(self) -> str:
        """The text of its function, as it was when it was registered."""
        return self.capture.text

    @property
    def signature(self) -> Signature:
        """The parameters and annotations of its function."""
        import inspect  # it costs 10 ms

        return inspect.signature(self.func)

    @property
    def load_module(self) -> str:
        """The module that a worker imports to find it."""
        return str(self.task_options.get("load_module") or self.func.__module__)

    def is_async(self) -> bool:
        """Returns whether its body is a coroutine."""
        return self.is_coroutine

    def is_valid(self) -> bool:
        """Returns whether it is the one that is registered under its name."""
        return registry.get(self.fullname) is self

    def get_task_options(self) -> dict[str, Any]:
        """Returns the options that steer its jobs."""
        return {**self.task_options, **self.lazy_options}

    def get_task_option(self, name: str, default: Any = None) -> Any:
        """Returns one of these, or the default."""
        return self.get_task_options().get(name, default)

    def has_task_option(self, name: str) -> bool:
        """Returns whether there is such an option."""
        return name in self.task_options or name in self.lazy_options

    @property
    def nout(self) -> int | None:
        """How many items the result has, when declared by `nout=` or by a tuple annotation; else None."""
        if self._nout is None:
            self._nout = annotated_length(self.func)
        return self._nout if self._nout >= 0 else None

    @property
    def interface(self) -> tuple[tuple[str, str], ...]:
        """What a caller can see of the task besides its parameters, as sorted text pairs."""
        pairs = []
        if self.nout is not None:
            pairs.append(("nout", str(self.nout)))
        if self.is_script:
            pairs.append(("script", "True"))
        return tuple(sorted(pairs))

    def call_with(self, options: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Returns the lazy call with options of its own."""
        if self.secrets:
            self._check_secrets(args, kwargs)
        if self.task_options.get("prov") is False:
            options = {"prov": False, **options}
        return TaskCall(self, args, kwargs, dict(options) or None)

    def _check_secrets(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Raises TaskError where a value that would be stored is given for a secret."""
        names = [name for name, kind in self.params if kind in (POSITIONAL_ONLY, POSITIONAL)]
        rest = {kind: name for name, kind in self.params if kind in (VAR_POSITIONAL, VAR_KEYWORD)}
        words, named = rest.get(VAR_POSITIONAL, ""), rest.get(VAR_KEYWORD, "")
        known = {name for name, kind in self.params if kind not in rest}
        given = [(names[i] if i < len(names) else words, value) for i, value in enumerate(args)]
        given += [(name if name in known else named, value) for name, value in kwargs.items()]
        for name, value in given:
            if name in self.secrets and value is not None and type(value) in PLAIN:
                raise TaskError(
                    f"{name} of task {self.fullname} is a secret", hint="write Secret(...) around the value"
                )

    def options(self, **options: Any) -> PartialTask[P, R]:
        """Returns the task with these options for the calls made through it.

        Raises:
            TaskError: if an option has a value that means nothing.
        """
        return PartialTask(self).options(**options)

    def export_options(self, **options: Any) -> PartialTask[P, R]:
        """Returns the task with these options for the calls made through it and for all jobs below them.

        Raises:
            TaskError: as `options`.
        """
        return PartialTask(self).export_options(**options)

    def update_context(self, changes: Mapping[str, Any] | None = None, /, **more: Any) -> PartialTask[P, R]:
        """Returns the task with changes to the context of the calls made through it and of all jobs below them."""
        return PartialTask(self).update_context(changes, **more)

    # One or two positional arguments are checked, and what is left is known; of more and of keywords nothing is.
    @overload
    def partial(self: Callable[Concatenate[A, Rest], R], a: A, /) -> PartialTask[Rest, R]: ...  # pyright: ignore[reportGeneralTypeIssues]
    @overload
    def partial(self: Callable[Concatenate[A, B, Rest], R], a: A, b: B, /) -> PartialTask[Rest, R]: ...  # pyright: ignore[reportGeneralTypeIssues]
    @overload
    def partial(self, /, **kwargs: Any) -> PartialTask[..., R]: ...
    @overload
    def partial(self: Callable[Concatenate[A, B, Rest], R], a: A, b: B, /, **kwargs: Any) -> PartialTask[..., R]: ...  # pyright: ignore[reportGeneralTypeIssues]
    @overload
    def partial(self: Callable[Concatenate[A, Rest], R], a: A, /, **kwargs: Any) -> PartialTask[..., R]: ...  # pyright: ignore[reportGeneralTypeIssues]
    @overload
    def partial(self, a: Any, b: Any, c: Any, /, *args: Any, **kwargs: Any) -> PartialTask[..., R]: ...
    def partial(self, /, *args: Any, **kwargs: Any) -> PartialTask[..., Any]:
        """Returns the task with some of its arguments: a value that can be passed on, stored and called. Lazy arguments
        stay so until a call is evaluated."""
        return PartialTask(self).partial(*args, **kwargs)


class PartialTask(Generic[P, R]):
    """A task with options for the calls made through it, and with some of its arguments.

    Attributes:
        task: the task itself.
        overrides: options of the calls.
        args, kwargs: arguments; those of a call are appended, and replace keywords of the same name.
    """

    def __init__(
        self,
        task: Task[P, R],
        overrides: Mapping[str, Any] | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.task = task
        self.overrides = dict(overrides or {})
        self.args = tuple(args)
        self.kwargs = dict(kwargs or {})

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        given, named = (*self.args, *args), {**self.kwargs, **kwargs}
        task: Any = self.task
        called = task.call_with(self.overrides, given, named) if self.overrides else task(*given, **named)
        return cast(R, called)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.task, name)

    def get_task_options(self) -> dict[str, Any]:
        """Returns the options that steer its jobs, those of its calls among them."""
        given = {name: value for name, value in self.overrides.items() if name not in (EXPORTED, CONTEXT)}
        return {**self.task.get_task_options(), **given}

    def get_task_option(self, name: str, default: Any = None) -> Any:
        """Returns one of these, or the default."""
        return self.get_task_options().get(name, default)

    def has_task_option(self, name: str) -> bool:
        """Returns whether there is such an option."""
        return name in self.get_task_options()

    @overload
    def partial(self: Callable[Concatenate[A, Rest], R], a: A, /) -> PartialTask[Rest, R]: ...  # pyright: ignore[reportGeneralTypeIssues]
    @overload
    def partial(self: Callable[Concatenate[A, B, Rest], R], a: A, b: B, /) -> PartialTask[Rest, R]: ...  # pyright: ignore[reportGeneralTypeIssues]
    @overload
    def partial(self, /, **kwargs: Any) -> PartialTask[..., R]: ...
    @overload
    def partial(self: Callable[Concatenate[A, B, Rest], R], a: A, b: B, /, **kwargs: Any) -> PartialTask[..., R]: ...  # pyright: ignore[reportGeneralTypeIssues]
    @overload
    def partial(self: Callable[Concatenate[A, Rest], R], a: A, /, **kwargs: Any) -> PartialTask[..., R]: ...  # pyright: ignore[reportGeneralTypeIssues]
    @overload
    def partial(self, a: Any, b: Any, c: Any, /, *args: Any, **kwargs: Any) -> PartialTask[..., R]: ...
    def partial(self, /, *args: Any, **kwargs: Any) -> PartialTask[..., Any]:
        """Returns it with further arguments."""
        return PartialTask(self.task, self.overrides, (*self.args, *args), {**self.kwargs, **kwargs})

    def options(self, **options: Any) -> PartialTask[P, R]:
        """Returns it with these options over those it has.

        Raises:
            TaskError: if an option has a value that means nothing.
        """
        check_call_options(self.task.fullname, options)
        return self._with({**self.overrides, **options})

    def export_options(self, **options: Any) -> PartialTask[P, R]:
        """Returns it with these options, for all jobs below its calls, too.

        Raises:
            TaskError: as `options`.
        """
        check_call_options(self.task.fullname, options)
        exported = {**self.overrides.get(EXPORTED, {}), **options}
        return self._with({**self.overrides, **options, EXPORTED: exported})

    def update_context(self, changes: Mapping[str, Any] | None = None, /, **more: Any) -> PartialTask[P, R]:
        """Returns it with changes to the context of its calls and of all jobs below them: mappings are merged, and
        anything else replaced."""
        before = self.overrides.get(CONTEXT, {})
        return self._with({**self.overrides, CONTEXT: merged(merged(before, changes or {}), more)})

    def _with(self, overrides: Mapping[str, Any]) -> PartialTask[P, R]:
        return PartialTask(self.task, overrides, self.args, self.kwargs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PartialTask):
            return NotImplemented
        mine = (self.task, self.overrides, self.args, self.kwargs)
        return bool(mine == (other.task, other.overrides, other.args, other.kwargs))

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        parts = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        shown = f", args=({', '.join(parts)})" if parts else ""
        options = f", options={self.overrides}" if self.overrides else ""
        return f"PartialTask(fullname={self.task.fullname}{shown}{options})"


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values with the changes, mappings in mappings merged."""
    result = dict(values)
    for name, value in changes.items():
        before = result.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[name] = merged(before, value) if both else value  # type: ignore[arg-type]  # `both` says so
    return result


def _text_of(version: Any) -> str | None:
    return None if version is None else str(version)


def _unkeyed(task: Task[..., Any], names: Sequence[str]) -> tuple[int, ...]:
    """The places of the parameters of these names, and of those that are told of the job.

    Raises:
        TaskError: if one is no parameter.
    """
    known = [name for name, _ in task.params]
    wanted = (names,) if isinstance(names, str) else tuple(names)
    missing = [name for name in wanted if name not in known]
    if missing:
        raise TaskError(
            f"task {task.fullname}: config_args has {missing[0]!r}, which is none of its parameters",
            hint=f"its parameters are {', '.join(known)}" if known else "it has no parameters",
        )
    return tuple(sorted({known.index(name) for name in (*wanted, *task.informed)}))


def _check_options(task: Task[..., Any]) -> None:
    nout = task._nout
    if nout is not None and (type(nout) is not int or nout < 0):
        raise TaskError(f"task {task.fullname}: nout is a number of items, not {nout!r}")
    if task.code not in _CODE_MODES:
        raise TaskError(f"task {task.fullname}: code={task.code!r}", hint=f"one of {', '.join(_CODE_MODES)}")
    if task.code == "version" and task.version is None:
        raise TaskError(f'task {task.fullname}: code="version" without a version', hint='add version="1"')
    if type(task.task_options.get("script", False)) is not bool:
        raise TaskError(f"task {task.fullname}: script={task.task_options['script']!r}", hint="script is True or False")
    if task.is_script and task.is_coroutine:
        raise TaskError(f"task {task.fullname} is async, and a script", hint="let the function just return the command")
    check_call_options(task.fullname, task.task_options)


# -- the registry -----------------------------------------------------------------------------------------------------


class Registry:
    """The tasks of this process by full name. `generation` grows with every registration."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}
        self.generation = 0

    def add(self, task: Task[..., Any]) -> None:
        """Registers a task.

        Raises:
            DuplicateTask: if another live task at the top level of a module has that full name and other code.
        """
        old = self._tasks.get(task.fullname)
        if old is not None and _clash(old, task):
            raise DuplicateTask(
                f"two tasks are named {task.fullname}: {old.capture.file}:{old.capture.line} "
                f"and {task.capture.file}:{task.capture.line}",
                hint="rename one, or give its module a redun_namespace",
            )
        self._tasks[task.fullname] = task
        self.generation += 1

    def rename(self, task: Task[..., Any], name: str, namespace: str) -> None:
        """Gives a task another name, which is none of another task."""
        if self._tasks.get(task.fullname) is task:
            del self._tasks[task.fullname]
        task.name, task.namespace = check_name(name), check_namespace(namespace)
        task.fullname = f"{namespace}.{name}" if namespace else name
        self._tasks[task.fullname] = task
        self.generation += 1

    def forget(self, modules: Container[str]) -> None:
        """Takes out the tasks of modules that are about to be loaded anew."""
        self._tasks = {name: task for name, task in self._tasks.items() if task.module not in modules}
        self.generation += 1

    @contextlib.contextmanager
    def scoped(self) -> Iterator[None]:
        """Forgets, at the end, the tasks that were registered meanwhile, and has again those that they replaced."""
        before = dict(self._tasks)
        try:
            yield
        finally:
            self._tasks = before
            self.generation += 1

    def get(self, fullname: str) -> Task[..., Any] | None:
        """Returns the task of that full name, or None."""
        return self._tasks.get(fullname)

    def find(self, fullname: str) -> Task[..., Any]:
        """Returns the task of that full name.

        Raises:
            UnknownTask: if there is none; the hint names the closest.
        """
        task = self._tasks.get(fullname)
        if task is None:
            from difflib import get_close_matches  # only on the way to an error

            close = get_close_matches(fullname, self._tasks, 3)
            raise UnknownTask(f"no task is named {fullname}", hint=f"did you mean {', '.join(close)}?" if close else "")
        return task

    def __iter__(self) -> Any:
        return iter(list(self._tasks.values()))


def _clash(old: Task[..., Any], new: Task[..., Any]) -> bool:
    if "<locals>" in old.__qualname__ or "<locals>" in new.__qualname__:
        return False
    if old.capture.text == new.capture.text and old.module == new.module:
        return False
    if old.module != new.module:
        return old.__module__ != "__main__" and new.__module__ != "__main__"
    # one module: a reload or a notebook's cell run again may redefine; the first import of a file may not
    module = sys.modules.get(new.__module__)
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


registry: Final = Registry()


def get_task_registry() -> Registry:
    """Returns the registry of this process."""
    return registry


# -- the decorator ----------------------------------------------------------------------------------------------------


@overload
def task(func: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    func: None = None, /, *, script: Literal[True], **options: Any
) -> Callable[[Callable[P, Any]], Task[P, bytes]]: ...
@overload
def task(func: None = None, /, **options: Any) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(func: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """Makes a function a task. Used bare (`@task`) or with options (`@task(version="2")`).

    Options: `name`, `namespace`, `version` (stands for all code), `hash_includes` (more values that decide the cache),
    `code` (`"closure"`, `"function"`, `"version"`: how much code counts), `nout` (items of the result), `cache`,
    `cache_scope` (`NONE`, `CSE`, `BACKEND`), `check_valid` (`"full"`, `"shallow"`), `executor`, `limits` (names of
    resources, or how much of each, that the body holds), `timeout` (seconds), `retries`, `retry_delay` (seconds,
    doubled each time, or a list), `retry_max_delay`, `retry_on` (classes of errors), `config_args` (parameters that are
    no part of the cache key), `script` (the function gives a command, which is run: the value is what that says on
    standard output), `tags` (pairs that the task and its jobs are known by), `prov` (False: its jobs and those below
    are neither recorded nor answered from the cache); others are for the executors.

    Raises:
        TaskError: if an option has a value that means nothing.
        DuplicateTask: if the name is taken.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        made = Task(function, options)
        registry.add(made)
        return made

    return decorate if func is None else decorate(func)


# -- tasks as values --------------------------------------------------------------------------------------------------


def encode_task(encoder: Encoder, value: Task[..., Any]) -> Any:
    """Returns the extension that stands for a task by its name."""
    if registry.get(value.fullname) is not value:
        raise CannotEncode(f"task {value.fullname} is not the registered one of that name")
    encoder.code.append(value)
    return encoder.ext(codes.TASK, [value.fullname])


def _read(decoder: Decoder, items: Any) -> Task[..., Any]:
    found = registry.get(items[0])
    if found is None:
        raise CannotDecode(f"task {items[0]} is not in the running workflow")
    decoder.code.append(found)
    return found


HANDLERS[Task] = encode_task
READERS[codes.TASK] = _read
