"""The scheduler: what programs use to run expressions."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar, cast

import redun.executor.dropped  # noqa: F401  it listens
from redun.core.concealed import redacted
from redun.core.errors import ConfigError, NoCurrentScheduler, RunError
from redun.core.objects import Status
from redun.core.tasks import running
from redun.core.version import VERSION
from redun.executor.contexts import context_fact, run_context
from redun.executor.observer import WATCHERS, Execution, FailedJob, JobEvent, Observer
from redun.executor.pools.choice import Pools
from redun.executor.run import Run
from redun.store import Store

if TYPE_CHECKING:
    from redun.executor.asking import Asking
    from redun.executor.config.config import Config
    from redun.executor.config.records import ExecutorSettings, ProjectSettings
    from redun.store.sync.asking import Asker

_DEFAULT_THREADS: Final = 20
#: The schedulers that are running something in this process, in the order in which they began.
_RUNNING: Final[list[Scheduler]] = []
#: What `set_current_scheduler` has put in their place.
_CHOSEN: Final[list[Scheduler]] = []
Result = TypeVar("Result")


class Scheduler:
    """Runs expressions against a store, in memory when none is given.

        with Scheduler() as scheduler:
            assert scheduler.run(main()) == "Hello, World!"

    It may be used for any number of runs, one at a time. Several schedulers may share one store.

    Args:
        store: where results are kept and looked for.
        threads: how many task bodies run at once.
        cache: whether results of earlier executions may be used. Results are written all the same.
        replay: whether a finished subtree may be replayed in one step, or every job is looked up by itself. The results
            are the same.
        observer: is told what happens.
        keep_going: whether all that does not depend on a failure goes on.
        limits: how much there is of what tasks take by their option `limits`, over the settings' `[limits]`; of what is
            in neither, 1.
        executors: by the names that tasks know them by, functions that make a `concurrent.futures.Executor`; over
            those of the settings.
        config: settings: a `redun.config.Config`, tables to make one of, or those of a project. Executors and tags are
            taken from it; `threads` is stronger.
        debug: whether bodies run on the calling thread, one after the other and whatever executor they name, so that
            `breakpoint()` works in them; the observer is told of those that change their arguments.
        remote: `store.sync.asker("origin")`: asked for what the cache of the store does not have. One that does not
            answer is a warning, and then is not asked any more.

    Raises:
        ConfigError: if the settings make no sense.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        threads: int | None = None,
        cache: bool = True,
        replay: Literal["whole", "step"] = "whole",
        observer: Observer | None = None,
        keep_going: bool = False,
        limits: Mapping[str, int] | None = None,
        executors: Mapping[str, Callable[[], Any]] | None = None,
        config: Config | ProjectSettings | Mapping[str, Any] | None = None,
        debug: bool = False,
        remote: Asker | None = None,
    ) -> None:
        self.settings = None if config is None else _settings(config)
        self.store = store if store is not None else Store.memory()
        self._threads = threads or _threads(self.settings)
        self._cache = cache
        self._whole = replay == "whole"
        self._observer = observer
        self._executors = None if self.settings is None else self.settings.executors
        if executors:
            self._executors = {**(self._executors or {}), **_given(executors)}
        self._keep_going = keep_going
        self._debug = debug
        self._remote = remote
        self._limits = {} if self.settings is None else dict(self.settings.limits)
        self._limits |= _checked_limits(limits or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        return None

    def run(
        self,
        expression: Result,
        *,
        cache: bool | None = None,
        tags: Sequence[tuple[str, str]] = (),
        context: Mapping[str, Any] | None = None,
    ) -> Result:
        """Returns the value of an expression; arguments as in `execute`.

        Raises:
            Exception: what a task raised, if that was not handled.
            RunError: if the run could not go on for another reason, such as `sys.exit()` in a task.
            StoreError: if the store cannot be read or written.
        """
        execution = self.execute(expression, argv=sys.argv, cache=cache, tags=tags, context=context)
        if execution.status is Status.DONE:
            return cast("Result", execution.value)
        error = execution.error
        if execution.status is Status.FAILED and error is not None and not isinstance(error, Exception):
            raise RunError(f"{execution.failed[-1].fullname} raised {error!r}") from error
        raise error or RunError(f"execution {execution.uuid} did not finish")

    def execute(
        self,
        expression: Any,
        *,
        argv: Sequence[str] = (),
        info: Mapping[str, str] | None = None,
        cache: bool | None = None,
        tags: Sequence[tuple[str, str]] = (),
        context: Mapping[str, Any] | None = None,
    ) -> Execution:
        """Runs an expression and returns how that went; a task's exception is in the answer, not raised.

        Args:
            argv: the command, as the history is to show it.
            info: facts about the run, beside those that are always noted.
            cache: whether results of earlier executions are used; None: as the scheduler was told.
            tags: (name, value) pairs that the execution is known by; the settings' tags of other names come on top.
            context: what tasks may ask for by name, over the context of the settings.

        Raises:
            StoreError: if the store cannot be read or written.
        """
        if running.body:
            running.nested = True
        facts = {"redun": VERSION, "user": _user(), "python": ".".join(map(str, sys.version_info[:3]))}
        facts |= {**context_fact(context or {}), **(info or {})}
        live = self.store.begin_run([redacted(word) for word in argv], facts)
        read = self._cache if cache is None else cache
        observer = WATCHERS[-1]() if self._observer is None and WATCHERS else self._observer
        pools = Pools(self._threads, self._executors, self._here(observer) if self._debug else None)
        _RUNNING.append(self)
        try:
            run = Run(
                self.store,
                live,
                pools,
                read_cache=read,
                whole=self._whole,
                observer=observer,
                tags=self._tags(tags),
                keep_going=self._keep_going,
                context=run_context(self.settings, context or {}),
                capacities=self._limits,
                elsewhere=None if self._remote is None else self._asking(self._remote, observer),
            )
            return run.execute(expression)
        except BaseException:
            live.abandon()
            raise
        finally:
            pools.close()
            _RUNNING.reverse()  # the latest of its runs ends first
            _RUNNING.remove(self)
            _RUNNING.reverse()

    def _asking(self, remote: Asker, observer: Observer | None) -> Asking:
        # Here and not at the top: most runs ask nobody.
        from redun.executor.asking import Asking

        return Asking(remote, self._warner(observer))

    def _here(self, observer: Observer | None) -> Callable[[Any], Any]:
        # Here and not at the top: few runs are debugged.
        from redun.executor.pools.here import HerePool

        warned = self._warner(observer)
        return lambda outbox: HerePool(outbox, self.store.format, warned)

    def _warner(self, observer: Observer | None) -> Callable[[str], None]:
        def warned(message: str) -> None:
            if observer is not None:
                observer.warned(message)

        return warned

    def _tags(self, tags: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        names = {name for name, _ in tags}
        configured = () if self.settings is None else self.settings.tags.items()
        return tuple(sorted({*tags, *(pair for pair in configured if pair[0] not in names)}))


def get_current_scheduler(required: bool = True) -> Scheduler | None:
    """Returns the scheduler that is running in this process, the one that began last where there are several: in a
    body, the one that runs it. A body in another process has none.

    Raises:
        NoCurrentScheduler: if there is none and one is `required`.
    """
    found = _CHOSEN or _RUNNING
    if not found and required:
        raise NoCurrentScheduler("no scheduler is running here", hint="Scheduler().run(expression)")
    return found[-1] if found else None


def set_current_scheduler(scheduler: Scheduler | None) -> None:
    """Makes a scheduler the current one, whatever is running; None: the one that is running again."""
    _CHOSEN[:] = [] if scheduler is None else [scheduler]


def _settings(config: Config | ProjectSettings | Mapping[str, Any]) -> ProjectSettings:
    # Here and not at the top: most programs give none.
    from redun.core.files.remote.options import FileOptions, configure
    from redun.core.ownership import set_own_packages
    from redun.executor.config.config import settings_of

    settings = settings_of(config)
    if settings.own_packages:
        set_own_packages(settings.own_packages)
    if settings.storage != FileOptions():
        configure(settings.storage)
    return settings


def _given(executors: Mapping[str, Callable[[], Any]]) -> Mapping[str, ExecutorSettings]:
    # Here and not at the top: most programs give none.
    from redun.executor.config.records import ExecutorSettings, Origin

    for name, factory in executors.items():
        if not callable(factory):
            raise ConfigError(
                f"executor {name!r} is {factory!r}; expected a function that makes one",
                hint="lambda: ProcessPoolExecutor(4), so that one that breaks can be made anew",
            )
    origin = Origin("Scheduler")
    return {name: ExecutorSettings(name, "futures", origin, factory=factory) for name, factory in executors.items()}


def _checked_limits(limits: Mapping[str, int]) -> Mapping[str, int]:
    for name, capacity in limits.items():
        if type(name) is not str or type(capacity) is not int or capacity < 0:
            raise ConfigError(f"limit {name!r} is {capacity!r}; expected a whole number, such as 2")
    return limits


def _threads(settings: ProjectSettings | None) -> int:
    default = None if settings is None else settings.executor("default")
    return _DEFAULT_THREADS if default is None or default.type != "threads" else default.workers or _DEFAULT_THREADS


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return ""


__all__ = [
    "Execution",
    "FailedJob",
    "JobEvent",
    "Observer",
    "Scheduler",
    "get_current_scheduler",
    "set_current_scheduler",
]
