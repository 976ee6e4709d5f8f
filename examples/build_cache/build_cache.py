#!/usr/bin/env python3
"""A build cache for C and C++: `build_cache.py gcc -O2 -c lib.c -o lib.o` compiles once and remembers.

A lesson in `redun.store`: README.md beside this file tells it. `BUILD_CACHE` names the directory of the cache.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from redun.store import Digest, Pointer, RedunError, RefMoved, Store, pack, register_kind, unpack

SOURCES = (".c", ".cc", ".cpp", ".cxx", ".C")
#: Options whose effect is in the preprocessed text, in the object file, or in the messages: nowhere else.
KNOWN = (
    "-O",
    "-W",
    "-f",
    "-m",
    "-g",
    "-std=",
    "-D",
    "-U",
    "-I",
    "-i",
    "-w",
    "-pedantic",
    "-ansi",
    "-pipe",
    "-nostdinc",
)
#: Exceptions: they read or write files of their own.
UNKNOWN = (
    *("-Wl,", "-Wa,", "-Wp,", "-gsplit", "-fprofile", "-fauto-profile", "-fplugin", "-fdump", "-ftest-coverage"),
    *("-fsyntax-only", "-fstack-usage", "-fcallgraph", "-fsave-opt", "-fmodules", "-fpch"),
)
#: Options that may stand apart from their values.
WITH_VALUE = ("-D", "-U", "-I", "-include", "-imacros", "-isystem", "-iquote", "-idirafter")

# -- what is kept: one kind of object of our own ----------------------------------------------------------------------

KIND = "build-cache.result"


class Result(NamedTuple):
    """What compiling gave: the id of the object file's bytes, the messages, the source's name, seconds, and when."""

    output: Digest
    messages: bytes
    source: str
    seconds: float
    made: float

    def payload(self) -> bytes:
        """Returns the canonical bytes: a version, then the fields. A pointer keeps what it points to reachable."""
        return pack([1, Pointer(self.output), *self[1:]])

    @classmethod
    def parse(cls, payload: bytes) -> Result:
        """Returns the result of canonical bytes; raises ValueError for others. Newer versions would be read here."""
        version, output, messages, source, seconds, made = unpack(payload)
        if version != 1 or type(output) is not Pointer:
            raise ValueError(f"version {version!r}")
        return cls(output.digest, messages, source, seconds, made)


register_kind(KIND, Result.parse)


# -- what is asked for, and the key of it -----------------------------------------------------------------------------


class Job(NamedTuple):
    """One source that becomes one object file."""

    command: list[str]
    source: str
    output: Path
    options: list[str]


def understand(command: list[str]) -> Job | None:
    """Returns what a command compiles, or None where it does something else: what is not known is not cached."""
    sources, options, output, compiles = [], [], None, False
    words = iter(command[1:])
    for word in words:
        if word == "-c":
            compiles = True
        elif word == "-o":
            output = next(words, None)
        elif word in WITH_VALUE:
            options += [word, next(words, "")]
        elif (
            word.startswith(KNOWN) and not word.startswith(UNKNOWN) and not word.endswith("=native")
        ):  # asks the machine
            options.append(word)
        elif word.endswith(SOURCES) and not word.startswith("-"):
            sources.append(word)
        else:
            return None
    if not compiles or len(sources) != 1:
        return None
    return Job(command, sources[0], Path(output or Path(sources[0]).stem + ".o"), options)


def key_of(job: Job) -> str | None:
    """Returns the name under which the result is kept: all that decides it, hashed. None: let the compiler tell why.

    The preprocessed text has every header, macro, date and, with -g, the directory in it. The version stands for the
    compiler's own code.
    """
    compiler = job.command[0]
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False)
    text = subprocess.run([compiler, "-E", *job.options, job.source], capture_output=True, check=False)
    if version.returncode or text.returncode or b".incbin" in text.stdout:  # the assembler reads that file, not cpp
        return None
    parts = [1, shutil.which(compiler), version.stdout, job.options, hashlib.sha256(text.stdout).digest()]
    return f"results/{hashlib.sha256(pack(parts)).hexdigest()}"  # packed: parts cannot run into each other


# -- the cache --------------------------------------------------------------------------------------------------------


def directory() -> Path:
    """Returns where the cache is."""
    return Path(os.environ.get("BUILD_CACHE") or Path.home() / ".cache" / "build_cache")


def new_generation() -> Path:
    """Makes the directory of a store, with an empty store in it."""
    generation = directory() / f"g-{os.urandom(6).hex()}"
    generation.mkdir(parents=True)
    Store.init(generation / "store").close()
    return generation


def open_cache() -> Store:
    """Opens the store that the pointer file `current` leads to; makes both the first time."""
    current = directory() / "current"
    if not current.exists():
        generation = new_generation()
        mine = generation / "pointer"
        mine.write_text(f"{generation.name}\n")
        try:
            os.link(mine, current)
        except FileExistsError:  # another build was first
            shutil.rmtree(generation)
    return Store.open(current)


def replay(store: Store, job: Job, result: Result) -> None:
    """Writes the object file as the compiler would have: whole or not at all, straight from the mapped blob."""
    temporary = job.output.with_name(f"{job.output.name}.{os.getpid()}.new")
    temporary.write_bytes(store.open_blob(result.output))
    temporary.replace(job.output)
    sys.stderr.buffer.write(result.messages)


def count(store: Store, what: str, seconds: float = 0.0, keep: Callable[[Store], None] | None = None) -> None:
    """Adds one to a number of the statistics. Of two builds that count at once one is told, and counts again."""
    while True:
        with contextlib.suppress(RefMoved), store.transaction() as txn:
            at = txn.ref("stats")
            stats = {} if at is None else txn.get_value(at)
            stats = stats | {what: stats.get(what, 0) + 1, "saved": stats.get("saved", 0.0) + seconds}
            txn.set_ref("stats", txn.put_value(stats), expected=at, reason=what)
            return


def remember(store: Store, name: str, job: Job, messages: bytes, seconds: float) -> None:
    """Keeps a result: its bytes, its record and its name are written as one."""
    with (
        contextlib.suppress(RefMoved),
        store.transaction() as txn,
    ):  # a build of the same text at once: one of them is kept
        output = txn.put_blob([data := job.output.read_bytes()], len(data))
        result = Result(output, messages, job.source, seconds, time.time())
        txn.set_ref(name, txn.put(KIND, result.payload()), expected=None, reason=job.source)


# -- the commands -----------------------------------------------------------------------------------------------------


def compile_(command: list[str]) -> int:
    """Answers a command from the cache, or runs it and remembers. The cache never breaks a build."""
    job = understand(command)
    name = None if job is None else key_of(job)
    try:
        with open_cache() as store:
            if job is None or name is None:
                count(store, "passed through")
            else:
                return cached(store, name, job)
    except (RedunError, OSError) as error:
        print(f"build_cache: {error}", file=sys.stderr)
    return subprocess.run(command, check=False).returncode


def cached(store: Store, name: str, job: Job) -> int:
    """Returns the exit code of a job that the cache knows how to answer."""
    found = store.ref(name)
    if found is not None:
        result: Result = store.get_record(found)
        replay(store, job, result)
        count(store, "hits", result.seconds)
        return 0
    start = time.perf_counter()
    done = subprocess.run(job.command, stderr=subprocess.PIPE, check=False)
    sys.stderr.buffer.write(done.stderr)
    count(store, "misses")
    # A file that was edited while the compiler ran would be kept under the name of what it was before.
    if done.returncode == 0 and key_of(job) == name:
        remember(store, name, job, done.stderr, time.perf_counter() - start)
    return done.returncode


def results(store: Store) -> list[tuple[str, Digest, Result]]:
    """Returns (name, id, result) of all that is kept, newest first."""
    found = [(name, at, store.get_record(at)) for name, at in store.refs().items() if name.startswith("results/")]
    return sorted(found, key=lambda item: -item[2].made)


def show_stats() -> int:
    """Prints how often the cache helped, and what it holds."""
    with open_cache() as store:
        at = store.ref("stats")
        stats = {} if at is None else store.get_value(at)
        kept = results(store)
        size = sum(len(store.open_blob(output)) for output in {result.output for _, _, result in kept})
    numbers = ", ".join(f"{stats.get(what, 0)} {what}" for what in ("hits", "misses", "passed through"))
    print(f"{numbers}; {stats.get('saved', 0.0):.2f} s of compiling saved")
    print(f"{len(kept)} results, {size:,} bytes of object files, in {directory()}")
    return 0


def prune(days: float, megabytes: float) -> int:
    """Keeps the newest results and gives the space of the others back.

    Objects are never deleted. What is to be kept is copied, by walking from its names, to a new store; then the pointer
    is turned to it in one step. Builds that have the old one open finish with it.
    """
    current, generation, kept, room = directory() / "current", new_generation(), 0, megabytes * 1e6
    with open_cache() as old, Store.open(generation / "store") as new:
        stats, everything = old.ref("stats"), results(old)
        if stats is not None:
            new.set_ref("stats", new.put_value(old.get_value(stats)), expected=None, reason="prune")
        for name, at, result in everything:
            room -= len(old.open_blob(result.output))
            if room < 0 or result.made < time.time() - days * 86_400:
                break
            with new.transaction() as txn:
                for _, kind, payload in old.walk([at]):
                    txn.put_blob([payload], len(payload)) if kind == "blob" else txn.put(kind, bytes(payload))
                txn.set_ref(name, at, expected=None, reason="prune")
            kept += 1
    before = Path(current.read_text().strip())
    pointer = generation / "pointer"
    pointer.write_text(f"{generation.name}\n")
    pointer.replace(current)
    shutil.rmtree(current.parent / before)
    print(f"kept {kept} of {len(everything)} results")
    return 0


def main(words: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    if words[:1] == ["--stats"]:
        return show_stats()
    if words[:1] == ["prune"]:
        parser = argparse.ArgumentParser(prog="build_cache.py prune")
        parser.add_argument("--days", type=float, default=30.0, help="keep results that are not older")
        parser.add_argument("--megabytes", type=float, default=1000.0, help="keep the newest, up to this size")
        chosen = parser.parse_args(words[1:])
        return prune(chosen.days, chosen.megabytes)
    if not words or words[0].startswith("-"):
        print("usage: build_cache.py gcc -c FILE.c ... | --stats | prune [--days N] [--megabytes N]", file=sys.stderr)
        return 2
    return compile_(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
