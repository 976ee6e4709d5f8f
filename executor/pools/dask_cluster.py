"""Dask as a carrier: a scheduler that runs already, a cluster that a factory makes, or one of this machine.

Dask is asked for two things, and officially: to call a function with bytes, and to hand an event of a worker to the
client. Which worker runs what, how many there are, and where, is its own affair.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from redun.core.errors import RunError
from redun.executor.config.records import ExecutorSettings
from redun.executor.pools.far import ATTEMPTS, Begun, Deliver, Factory, Lost
from redun.executor.pools.futures import made
from redun.executor.pools.guests import run_in_cluster
from redun.executor.pools.messages import Message
from redun.executor.pools.processes import cores

#: How long (seconds) a scheduler may take to answer, and a cluster to end.
_CONNECT_SECONDS: Final = 10
_CLOSE_SECONDS: Final = 10
#: A request of more bytes than that makes Dask warn of it as of a programmer's mistake.
_NOTED_BYTES: Final = 1 << 20
_HERE: Final = ("127.0.0.1", "localhost", "::1")


class DaskCarrier:
    """A `Carrier` over a Dask client.

    Dask runs what its dying workers had again by itself; what it gives up counts as one loss here. A worker that dies
    takes with it what waits in it, so the last attempt of a job is made while nothing else of the run is under way.
    """

    isolates_after: int | None = ATTEMPTS - 1
    tells_begin = True

    def __init__(self, client: Any, cluster: Any, where: str, deliver: Deliver) -> None:
        self._client = client
        self._cluster = cluster
        self._where = where
        self._deliver = deliver
        self._loop = client.loop
        self._name = f"redun-{os.urandom(6).hex()}"
        self._futures: dict[int, Any] = {}
        #: Processes of workers of this machine that were started for the run, by the message that began there.
        self._begun: dict[int, int] = {}
        self._local = _is_local(cluster)
        self._closed = False
        self._threads = 0
        self._count(client.nthreads())
        client.subscribe_topic(self._name, self._told)

    @property
    def slots(self) -> int:
        """As many as the cluster has threads by now."""
        return max(self._threads, 1)

    @property
    def ahead(self) -> int:
        """As many again, so that workers need not wait; and so that a cluster that grows with its work does."""
        return self._threads + 2

    def _count(self, threads: dict[str, int]) -> None:
        self._threads = sum(threads.values())

    def send(self, number: int, message: Message) -> None:
        """See `Carrier.send`."""
        import dask.config

        with ExitStack() as stack:
            if len(message) > _NOTED_BYTES:
                stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}))
            future = self._client.submit(
                run_in_cluster, message, self._name, number, key=f"{self._name}-{number}", pure=False
            )
        self._futures[number] = future
        self._loop.add_callback(self._follow, number, future)

    async def _follow(self, number: int, future: Any) -> None:
        """Hands on what a future has come to, on the client's thread."""
        from distributed import CancelledError

        what: bytes | Lost
        try:
            what = await self._client.gather(future, asynchronous=True)
        except (CancelledError, asyncio.CancelledError):
            hint = "look whether it runs; whatever had ended is stored"
            what = Lost(f"was lost with the Dask scheduler at {self._where}", broken=True, hint=hint)
        except Exception as error:  # noqa: BLE001  whatever goes wrong in a cluster
            what = Lost(f"failed: {type(error).__name__}: {error}")
        self._begun.pop(number, None)
        if self._futures.pop(number, None) is None:
            return  # it was given up
        self._deliver(number, what)
        if not self._closed and self._client.status == "running":
            with suppress(OSError, CancelledError):
                self._count(await self._client.nthreads(asynchronous=True))

    def _told(self, event: tuple[float, Any]) -> None:
        """Takes the news of a worker that it begins with a message."""
        number, process = event[1]
        if number in self._futures:
            self._begun[number] = process
            self._deliver(number, Begun())

    def cancel(self, number: int) -> bool:
        """See `Carrier.cancel`: a worker of a cluster that was made for the run is ended, and Dask starts another."""
        future = self._futures.pop(number, None)
        if future is None:
            return False
        self._loop.add_callback(partial(self._client.cancel, [future], asynchronous=True, force=True))
        process = self._begun.pop(number, None)
        if process is None or not self._local:
            return False
        return _killed(process)

    def close(self) -> None:
        """See `Carrier.close`. What runs in a cluster that is not the run's own is cancelled, and may run on."""
        if self._closed:
            return
        self._closed = True
        left, self._futures = list(self._futures.values()), {}
        with suppress(Exception):  # it may be gone
            if left:
                self._client.cancel(left, force=True)
        if left and self._local:
            ended = threading.Event()
            self._loop.add_callback(partial(_end_workers, self._cluster, ended))
            ended.wait(_CLOSE_SECONDS)
        with suppress(Exception):
            self._client.close(_CLOSE_SECONDS)
        if self._cluster is not None:
            with suppress(Exception):
                self._cluster.close(timeout=_CLOSE_SECONDS)


def _is_local(cluster: Any) -> bool:
    from distributed import LocalCluster

    return isinstance(cluster, LocalCluster)


def _end_workers(cluster: Any, ended: threading.Event) -> None:
    """Ends the workers of a cluster of this machine, which would wait for what they run, and starts no others."""
    try:
        for nanny in cluster.workers.values():
            if nanny.pid is not None:
                nanny.close_gracefully()
                _killed(nanny.pid)
    finally:
        ended.set()


def _killed(process: int) -> bool:
    with suppress(OSError):
        os.kill(process, signal.SIGKILL)
        return True
    return False


def factory_of(settings: ExecutorSettings) -> Factory:
    """Returns what makes the carrier of an executor.

    Raises:
        ImportError: if Dask is not installed.
    """
    import distributed  # noqa: F401  it takes a second: only runs that use it pay for it

    return partial(_connected, settings)


def _connected(settings: ExecutorSettings, deliver: Deliver) -> DaskCarrier:
    from distributed import Client

    cluster: Any = None
    if settings.factory is not None:
        cluster = made(settings)
    elif settings.address is None:
        try:
            cluster = _of_this_machine(settings.workers or cores())
        except Exception as error:
            raise RunError(
                f"executor {settings.name!r}: a Dask cluster cannot be started here: {type(error).__name__}: {error}",
                hint="start one (`dask scheduler`, `dask worker`), and set its address",
            ) from error
    where = settings.address or str(getattr(cluster, "scheduler_address", cluster))
    try:
        client = Client(cluster or settings.address, timeout=_CONNECT_SECONDS, set_as_default=False)
        return DaskCarrier(client, cluster, where, deliver)
    except (OSError, TimeoutError, ValueError) as error:
        raise RunError(
            f"executor {settings.name!r}: no Dask scheduler answers at {where}: {error}",
            hint="start one there (`dask scheduler`), or look at the address in the settings",
        ) from error


def _of_this_machine(workers: int) -> Any:
    """Starts a cluster on the loopback interface: a process a worker, each of one thread; its page on a free port."""
    import dask.config
    from distributed import LocalCluster

    options: dict[str, Any] = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):  # the run counts them itself
        return LocalCluster(n_workers=workers, threads_per_worker=1, **options)


def shares_files(settings: ExecutorSettings) -> bool:
    """Returns whether the workers see the files of this machine: as is said, else where the cluster is on it."""
    if settings.shares_files is not None:
        return settings.shares_files
    return settings.factory is None and (settings.address is None or urlsplit(settings.address).hostname in _HERE)


def reads_store(settings: ExecutorSettings) -> bool:
    """Returns whether the workers read the store by themselves: in a cluster that was made for the run, on this
    machine; a data file in use cannot be read across a network."""
    return settings.factory is None and settings.address is None
