"""The guardian: a process that ends the scripts of this one when it is gone, however it ended.

A script is a session of its own, so that it has no terminal to wait at, and so no signal that ends this process
reaches it. Whatever a process can do at its end it does not do when it is killed; so a shell of a few lines, started
with the first script, reads from a pipe which groups there are. When the pipe ends, it tells those to end, and kills
them a second later.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Final

_TEXT: Final = """
trap '' HUP INT QUIT TERM
groups=' '
while read -r word group; do
    case $word in
        +) groups="$groups$group " ;;
        -) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do kill -s TERM -- "-$group"; done
for _ in 1 2 3 4 5 6 7 8 9 10; do
    left=
    for group in $groups; do kill -s 0 -- "-$group" && left="$left $group"; done
    groups=$left
    [ -z "$groups" ] && exit
    sleep 0.1
done
for group in $groups; do kill -s KILL -- "-$group"; done
"""


class _Guardian:
    """The guardian of this process; started with the first script, and again where it was killed.

    Attributes:
        pid: of the process, 0 while there is none.
    """

    def __init__(self) -> None:
        self.pid = 0
        self._lock = threading.Lock()
        self._pipe = -1
        self._groups: set[int] = set()

    def watch(self, group: int) -> None:
        """Has a process group killed when this process is gone before `leave` is called."""
        with self._lock:
            self._groups.add(group)
            if self._pipe >= 0 and self._tell(f"+ {group}\n"):
                return
            self._start()
            self._tell("".join(f"+ {known}\n" for known in self._groups))

    def leave(self, group: int) -> None:
        """Forgets a process group; its number may be another one's soon."""
        with self._lock:
            self._groups.discard(group)
            self._tell(f"- {group}\n")

    def _tell(self, text: str) -> bool:
        try:
            os.write(self._pipe, text.encode())
        except OSError:  # somebody has killed it
            return False
        return True

    def _start(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            with suppress(ChildProcessError):  # somebody else has buried it
                os.waitpid(self.pid, 0)
        theirs, self._pipe = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        try:
            actions = [(os.POSIX_SPAWN_DUP2, theirs, 0), *((os.POSIX_SPAWN_DUP2, null, number) for number in (1, 2))]
            self.pid = os.posix_spawn(
                "/bin/sh", ["sh", "-c", _TEXT, "redun-guardian"], {}, file_actions=actions, setsid=True
            )  # nobody waits for it: it lives as long as this process
        finally:
            os.close(theirs)
            os.close(null)

    def forget(self) -> None:
        """In a process that was forked from this one: the scripts are none of its own."""
        self._lock = threading.Lock()
        self._groups = set()
        self.pid = 0
        if self._pipe >= 0:
            with suppress(OSError):
                os.close(self._pipe)
            self._pipe = -1


guardian: Final = _Guardian()
os.register_at_fork(after_in_child=guardian.forget)
