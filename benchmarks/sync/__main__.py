"""What a sync costs: `python -m benchmarks.sync [--jobs 100000] [--dir DIR]`.

Each push is a process of its own; processor time is that of it and what it starts. Memory is what is in no file.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.years.build import fan
from redun import Scheduler
from redun.store import Store

_PUSH: Final = """
import json, sys
from redun.store import Store

def memory():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))

most = 0
def look(*step):
    global most
    most = max(most, memory())

with Store.open(sys.argv[1]) as store:
    before = memory()
    moved = store.sync.push(sys.argv[2], progress=look)
    print(json.dumps([moved.objects, max(most - before, 0)]))
"""


class Cost(NamedTuple):
    """Seconds by the clock and of the processor, objects that moved, and bytes of memory."""

    clock: float
    cpu: float
    objects: int = 0
    memory: int = 0

    def line(self, name: str) -> str:
        """Returns a line of the table."""
        each = f"{self.cpu / self.objects * 1e6:8.1f} us cpu an object" if self.objects else ""
        return f"{name:34}{self.clock:9.2f} s{self.cpu:9.2f} s cpu{self.objects:10,} objects{each}"


def timed(words: list[str], folder: Path | None = None) -> tuple[Cost, str]:
    """Returns what a command costs, and what it prints.

    Raises:
        CalledProcessError: if it fails.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, check=True, cwd=folder, stdout=subprocess.PIPE, text=True)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout


def push(source: Path, target: str) -> Cost:
    """Returns what a push costs."""
    cost, printed = timed([sys.executable, "-c", _PUSH, str(source), target])
    objects, memory = json.loads(printed)
    return cost._replace(objects=objects, memory=memory)


def git(store: Path, folder: Path) -> Cost:
    """Returns what `git push` of the same payloads costs, as blobs of one tree, from a packed repository."""
    repository, bare = folder / "git", folder / "git.git"
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    with (
        Store.open(store, read_only=True) as opened,
        subprocess.Popen(["git", "fast-import", "--quiet"], cwd=repository, stdin=subprocess.PIPE) as importing,
    ):
        assert importing.stdin is not None
        write = importing.stdin.write
        write(b"commit refs/heads/main\ncommitter a <a@b> 0 +0000\ndata 0\n")
        count = 0
        for digest, *_ in opened.objects():
            payload = bytes(opened.get(digest)[1])
            name = digest.hex()
            write(f"M 644 inline {name[:2]}/{name[2:]}\ndata {len(payload)}\n".encode() + payload + b"\n")
            count += 1
    cost, _ = timed(["git", "push", "-q", str(bare), "main"], repository)
    return cost._replace(objects=count)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sync")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--dir", help="where the stores are made")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=words.dir) as name:
        folder = Path(name)
        source, target = folder / "source", folder / "target"
        with Store.init(source) as store, Store.init(target):
            for run in range(100):
                share = words.jobs // 100
                assert Scheduler(store).execute(fan(run * share, (run + 1) * share)).error is None
        first = push(source, str(target))
        print(first.line("push, nothing there"))
        print(f"  {first.objects / first.clock:,.0f} objects a second, {first.memory / first.objects:.0f} bytes each")
        print(push(source, str(target)).line("the same again"))
        with Store.open(source) as store:
            assert Scheduler(store).execute(fan(words.jobs, words.jobs + words.jobs // 100)).error is None
        print(push(source, str(target)).line("1% new"))
        print(git(source, folder).line("git push of the same objects"))


if __name__ == "__main__":
    main()
