"""Any `concurrent.futures.Executor` as a carrier: of the standard library, loky, executorlib, mpi4py, Parsl, Ray.

All that it is asked to do is to call one function with bytes, which returns bytes. When it says that it is broken, it
is made anew by its factory.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, Final

from redun.core.errors import RunError
from redun.executor.config.records import ExecutorSettings
from redun.executor.pools.far import Deliver, Factory, Lost
from redun.executor.pools.guests import run_as_guest
from redun.executor.pools.messages import Message
from redun.executor.pools.processes import cores

#: The options with which executors end workers that are at work, where they take one of them.
_ENDING: Final = ({"wait": False, "kill_workers": True}, {"wait": False, "cancel_futures": True}, {"wait": False})


class FuturesCarrier:
    """A `Carrier` over an executor."""

    isolates_after: int | None = 0
    tells_begin = False

    def __init__(self, executor: Executor, slots: int | None, deliver: Deliver) -> None:
        self._executor = executor
        self._deliver = deliver
        self._futures: dict[int, Future[bytes]] = {}
        #: Those that nobody waits for, and that may run on.
        self._given_up: list[Future[bytes]] = []
        self.slots = slots or _slots(executor)
        self._closed = False

    def send(self, number: int, message: Message) -> None:
        """See `Carrier.send`."""
        future = self._futures[number] = self._executor.submit(run_as_guest, message, os.getpid())
        future.add_done_callback(partial(self._done, number))

    def _done(self, number: int, future: Future[bytes]) -> None:
        """Hands on what a future has come to, on whatever thread its executor says so."""
        self._futures.pop(number, None)
        if future.cancelled():
            self._deliver(number, Lost("was cancelled"))
            return
        error = future.exception()
        if error is None:
            self._deliver(number, future.result())
            return
        broken = isinstance(error, BrokenExecutor)
        self._deliver(number, Lost(f"{'died' if broken else 'failed'}: {type(error).__name__}: {error}", broken))

    def cancel(self, number: int) -> bool:
        """See `Carrier.cancel`: what has begun runs on."""
        future = self._futures.pop(number, None)
        if future is None or future.cancel():
            return future is not None
        self._given_up.append(future)
        return False

    def close(self) -> None:
        """See `Carrier.close`. Processes that are at work are killed; threads and whatever is elsewhere run on."""
        if self._closed:
            return
        self._closed = True
        busy = any(future.running() for future in [*list(self._futures.values()), *self._given_up])
        workers = _processes(self._executor)
        if not busy:
            with suppress(Exception):  # it may be broken
                self._executor.shutdown(wait=True)
            return
        for options in _ENDING:
            with suppress(TypeError):
                self._executor.shutdown(**options)
                break
        for worker in workers:
            with suppress(OSError):
                os.kill(worker, signal.SIGKILL)


def _processes(executor: Executor) -> list[int]:
    """Returns the processes of an executor that is made as that of the standard library is."""
    known = getattr(executor, "_processes", None)
    return [pid for pid in known if type(pid) is int] if isinstance(known, dict) else []


def _slots(executor: Executor) -> int:
    most = getattr(executor, "_max_workers", None)
    return most if type(most) is int and most > 0 else cores()


def made(settings: ExecutorSettings) -> Any:
    """Returns what the factory of an executor makes.

    Raises:
        RunError: if it cannot be found, or raises.
    """
    factory = settings.factory
    try:
        if isinstance(factory, str):
            factory = _found(factory)
        assert factory is not None
        return factory(**settings.arguments)
    except Exception as error:
        raise RunError(
            f"executor {settings.name!r} cannot be made: {type(error).__name__}: {error}",
            hint=f"its factory is {settings.factory}, set in {settings.origin}",
        ) from error


def _found(name: str) -> Callable[..., Any]:
    module, _, path = name.partition(":")
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{name} cannot be called")
    return found  # type: ignore[no-any-return]


def factory_of(settings: ExecutorSettings) -> Factory:
    """Returns what makes the carrier of an executor."""

    def make(deliver: Deliver) -> FuturesCarrier:
        executor = made(settings)
        if not callable(getattr(executor, "submit", None)) or not callable(getattr(executor, "shutdown", None)):
            raise RunError(
                f"executor {settings.name!r} cannot be made: its factory returned {executor!r}",
                hint="it has to return a concurrent.futures.Executor",
            )
        return FuturesCarrier(executor, settings.workers, deliver)

    return make


def shares_files(settings: ExecutorSettings) -> bool:
    """Returns whether the workers see the files of this machine: as is said, else they do."""
    return settings.shares_files is not False


def reads_store(_: ExecutorSettings) -> bool:
    """Returns whether the workers read the store by themselves: a fork of the run cannot."""
    return False
