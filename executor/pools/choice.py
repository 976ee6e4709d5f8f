"""Which pool runs a job, by the name of its executor. Pools are made when a job first wants them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from redun.core.errors import RunError, UnknownExecutor
from redun.executor.pools.contract import Outbox, Pool, Reply, take
from redun.executor.pools.threads import ThreadPool

if TYPE_CHECKING:
    from redun.executor.config.records import ExecutorSettings
    from redun.executor.pools.coroutines import CoroutinePool
    from redun.executor.pools.crossing import Crossing

#: Executors that are always there, and what they are.
_BUILT_IN: Final = {"default": "threads", "threads": "threads", "processes": "processes", "process": "processes"}
_MODES: Final = {"thread": "threads", "process": "processes"}
#: Types of far executors, and the modules that make their carriers: `factory_of(settings) -> Factory`,
#: `shares_files(settings)` and `reads_store(settings)`.
_FAR: Final = {
    "processes": "redun.executor.pools.processes",
    "futures": "redun.executor.pools.futures",
    "dask": "redun.executor.pools.dask_cluster",
}


class Pools:
    """The pools of one run.

    Args:
        here: makes the one pool that runs all bodies but the async ones, whatever executor they name.

    Attributes:
        near: threads of this process, which every run has.
    """

    def __init__(
        self,
        threads: int,
        executors: Mapping[str, ExecutorSettings] | None = None,
        here: Callable[[Outbox], ThreadPool] | None = None,
    ) -> None:
        self.outbox: Outbox = SimpleQueue()
        self.near = ThreadPool(threads, self.outbox) if here is None else here(self.outbox)
        self._executors = executors or {}
        self._all_here = here is not None
        #: Whether jobs that name no executor run elsewhere than in threads.
        self.elsewhere = self._is_elsewhere()
        self._all: list[Pool] = [self.near]
        #: Executors that could not be made, and why: nobody waits for that twice.
        self._unmade: dict[str, RunError] = {}

    def take(self, timeout: float) -> Reply | None:
        """Returns the next reply, or None when the time (seconds) is over or `wake` was called."""
        return take(self.outbox, self._all, timeout)

    def wake(self) -> None:
        """Makes `take` return. May be called from a signal handler or another thread."""
        self.outbox.put(None)

    def name(self, options: Mapping[str, Any]) -> str:
        """Returns the executor that options name, behind any alias; `default` is that of threads.

        Raises:
            UnknownExecutor: if there is none of that name, or it is no name.
        """
        name = self._known(options)
        return "default" if self._all_here else name

    def _known(self, options: Mapping[str, Any]) -> str:
        name = options.get("executor") or "default"
        if name == "default" and "mode" in options:
            mode = options["mode"]
            if mode not in _MODES:
                raise UnknownExecutor(f"mode {mode!r} is none", hint=" or ".join(map(repr, _MODES)))
            name = _MODES[mode]
        if name == "threads":
            return "threads" if self.elsewhere else "default"
        seen = {name}
        while (found := self._executors.get(name)) is not None and found.target is not None:
            name = found.target
            if name in seen:
                raise UnknownExecutor(f"executor {name!r} is an alias of itself")
            seen.add(name)
        if found is not None:
            return str(name)
        if name not in _BUILT_IN:
            known = sorted({*_BUILT_IN, *self._executors})
            raise UnknownExecutor(f"there is no executor {name!r}", hint=f"there are {', '.join(known)}")
        return "default" if _BUILT_IN[name] == "threads" else "processes"

    @property
    def has_options(self) -> bool:
        """Whether jobs that name no executor are given options by the one that they have."""
        found = self._default()
        return found is not None and bool(found.options)

    def _is_elsewhere(self) -> bool:
        found = self._default()
        return found is not None and found.type != "threads" and not self._all_here

    def _default(self) -> ExecutorSettings | None:
        found = self._executors.get("default")
        while found is not None and found.target is not None:
            found = self._executors.get(found.target)
        return found

    def options(self, name: str) -> Mapping[str, Any]:
        """Returns the options that an executor gives its jobs, weaker than theirs."""
        found = self._executors.get(name)
        return {} if found is None else found.options

    def is_far(self, name: str) -> bool:
        """Returns whether an executor is given bytes."""
        found = self._executors.get(name)
        return (found.type if found is not None else _BUILT_IN.get(name)) in _FAR

    def open(self, name: str, cross: Callable[[bool, str], Crossing]) -> Pool:
        """Makes the pool of an executor.

        Args:
            cross: makes the run's side of what crosses, from whether workers read the store and where large messages
                are kept.

        Raises:
            RunError: if it cannot be made.
        """
        found = self._executors.get(name)
        kind = found.type if found is not None else _BUILT_IN[name]
        workers = None if found is None else found.workers
        pool: Pool
        if kind == "threads":
            pool = ThreadPool(workers or self.near.slots, self.outbox)
        else:
            if name in self._unmade:
                raise self._unmade[name]
            try:
                pool = self._far(name, kind, cross)
            except RunError as error:
                self._unmade[name] = error
                raise
        self._all.append(pool)
        return pool

    def open_async(self, asked: Callable[[Any, Any, Any], None]) -> CoroutinePool:
        """Makes the pool of async tasks; `asked` is told what their bodies await."""
        # Here and not at the top: asyncio takes 30 ms to load, and most runs have no async tasks.
        from redun.executor.pools.coroutines import CoroutinePool

        pool = CoroutinePool(self.outbox, asked)
        self._all.append(pool)
        return pool

    def _far(self, name: str, kind: str, cross: Callable[[bool, str], Crossing]) -> Pool:
        # Here and not at the top: most runs have threads only.
        from redun.executor.config.records import ExecutorSettings, Origin
        from redun.executor.pools import spool
        from redun.executor.pools.bodies import loading
        from redun.executor.pools.far import FarPool

        if loading.active:
            raise RunError(
                "a worker that loads the workflow's code met an expression that is run there",
                hint='put what runs it below `if __name__ == "__main__":`',
            )
        settings = self._executors.get(name) or ExecutorSettings(name, kind, Origin("default"))
        try:
            module = import_module(_FAR[kind])
            factory = module.factory_of(settings)
            reads_store, shares_files = module.reads_store(settings), module.shares_files(settings)
        except ImportError as error:
            raise RunError(f"executor {name!r} cannot be made: {error}", hint="install what it needs") from error
        directory = spool.make() if shares_files else ""
        try:
            return FarPool(name, factory, self.outbox, cross(reads_store, directory), directory)
        except BaseException:
            spool.remove(directory)
            raise

    def close(self) -> None:
        """Ends all workers."""
        for pool in self._all:
            pool.close()
