"""What the template of worker processes runs: it has imported what every worker needs, has one thread and no open
store, and forks a worker whenever it is asked to, in milliseconds."""

from __future__ import annotations

import gc
import os
import select
import signal
import struct
import sys
from contextlib import suppress
from typing import Final, NoReturn

from redun.executor.pools.worker import leave, serve

#: What is said on the control socket: a letter and a number or two.
WORD: Final = struct.Struct("!cqq")
FORK: Final = b"f"
KILL: Final = b"k"
BORN: Final = b"b"
DEAD: Final = b"d"


def stand_by(descriptor: int) -> NoReturn:
    """Forks and ends workers as the run says, and says how they ended; until the run is gone. Does not return."""
    from socket import AF_UNIX, SOCK_STREAM, recv_fds, socket

    del sys.argv[1:]
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    control = socket(AF_UNIX, SOCK_STREAM, fileno=descriptor)
    children: set[int] = set()
    gc.freeze()  # what every worker has stays shared between them
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        ready = {found for found, _ in poll.poll()}
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, 1024)
            for pid, status in _ended(children):
                _say(control.fileno(), DEAD, pid, os.waitstatus_to_exitcode(status))
        if control.fileno() in ready:
            data, descriptors, _, _ = recv_fds(control, WORD.size, 1)
            if len(data) < WORD.size:
                leave()
            word, number, _ = WORD.unpack(data)
            if word == FORK:
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.setpgid(0, 0)
                    for mine in (woken, wake):
                        os.close(mine)
                    control.close()
                    serve(descriptors[0])
                with suppress(OSError):  # whoever comes first
                    os.setpgid(pid, pid)
                os.close(descriptors[0])
                children.add(pid)
                _say(control.fileno(), BORN, number, pid)
            elif number in children:
                os.killpg(number, signal.SIGKILL)


def _ended(children: set[int]) -> list[tuple[int, int]]:
    """Buries those that have ended, with whatever they have started and left behind."""
    found = []
    for child in list(children):
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            with suppress(OSError):
                os.killpg(child, signal.SIGKILL)  # before it is buried the number is nobody else's
            children.discard(child)
            found.append(os.waitpid(child, 0))
    return found


def _say(descriptor: int, word: bytes, one: int, other: int) -> None:
    with suppress(OSError):  # the run is gone: the next look at the socket shows it
        os.write(descriptor, WORD.pack(word, one, other))
