"""A peer that the system's own ssh reaches: the user's keys, agent, config and jump hosts serve as they are."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from redun.core.errors import RemoteError
from redun.store.sync.addresses import Address
from redun.store.sync.far import FarPeer
from redun.store.sync.wire import Connection

#: Another program in the place of ssh, with its options, as words of a shell.
VARIABLE: Final = "REDUN_SSH"
#: What is run over there, a word or more.
REMOTE_VARIABLE: Final = "REDUN_REMOTE_COMMAND"
_PATIENCE_S: Final = 10
_BUFFER: Final = 1 << 20


def connect(
    address: Address, *, name: str, read_only: bool, started: Callable[[Callable[[], None]], None] | None = None
) -> FarPeer:
    """Returns the store at an address.

    Args:
        started: for a connection beside something else, which ssh then asks no questions: is handed what breaks it off
            at once, from any thread.

    Raises:
        RemoteError: if the host cannot be reached, has no redun, or the store is none.
    """
    program = shlex.split(os.environ.get(VARIABLE) or "ssh")
    port = [] if address.port is None else ["-p", str(address.port)]
    serve = shlex.split(os.environ.get(REMOTE_VARIABLE) or "redun")
    there = shlex.join([*serve, "serve", "--stdio", *(["--read-only"] if read_only else []), "--", address.path])
    words = [*program, *port, "--", address.host, there]
    return _started(words, name, started)


def _started(words: list[str], name: str, started: Callable[[Callable[[], None]], None] | None) -> FarPeer:
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=_BUFFER,
            start_new_session=started is not None,  # without a terminal, and not for Ctrl-C to end
        )
    except OSError as error:
        raise RemoteError(
            f"cannot run {words[0]}: {error.strerror}", remote=name, hint=f"install ssh, or set {VARIABLE}"
        ) from error
    assert process.stdin is not None
    assert process.stdout is not None
    if started is not None:
        started(lambda: _break_off(process))
    reader, writer = process.stdout, process.stdin

    def end() -> None:
        for pipe in (writer, reader):
            try:
                pipe.close()
            except OSError:
                continue
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    try:
        return FarPeer(Connection(reader, writer, name), end)
    except BaseException as error:
        end()
        if isinstance(error, RemoteError) and process.returncode == 255:  # ssh's own: it has said why
            told = f"{name} cannot be reached"
            raise RemoteError(told, remote=name, hint="what ssh says stands above") from error
        if isinstance(error, RemoteError) and process.returncode == 127:
            told = f"there is no {words[-1].split()[0]} at {name}"
            raise RemoteError(
                told, remote=name, hint=f"pip install redun-core there, or set {REMOTE_VARIABLE}"
            ) from error
        raise


def _break_off(process: subprocess.Popen[bytes]) -> None:
    """Ends what leads a session of its own, with all that it has started."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
