"""What `redun doctor` tells of a store: where it lies, what is in the way, who reads, what runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final
from uuid import UUID

from redun.cli.exits import DAMAGED, UNAVAILABLE
from redun.cli.findings import Finding, bad, examined, size_text
from redun.cli.history_view import clock
from redun.core import limits
from redun.core.digest import ObjectFormat
from redun.core.errors import DigestCollision, LibraryMissing, StoreError
from redun.core.objects import ExecRecord, Status
from redun.store import Store, condition, soundness
from redun.store.compression import check_compression
from redun.store.locate import CONFIG_NAME, STORE_NAME, follow_pointer
from redun.store.meta import read_format

#: Free bytes below which somebody should know, and below which a run will hardly end.
_FEW_BYTES: Final = 500 * limits.MIB
_NO_BYTES: Final = 10 * limits.MIB
_FEW_NAMES: Final = 1000
#: A data file up to this size is verified page by page, a second or so; `redun fsck` does it for any.
_VERIFIED: Final = 64 * limits.MIB
#: Part of the largest map above which somebody should know.
_NEARLY: Final = 0.8
#: Transactions behind the newest from which on a reader makes the file grow.
_BEHIND: Final = 100
_MICROSECONDS: Final = 1_000_000
#: Executions whose times are looked at.
_EXECUTIONS: Final = 200
#: Clocks of one machine agree better than this.
_SLACK: Final = 60 * _MICROSECONDS


def store_findings(path: Path, here: Path) -> Iterator[Finding]:
    """Yields what there is to know about the store at a path, found from `here`."""
    yield Finding("ok", "store", str(path))
    yield from examined("pointer", lambda: _pointer(path, here))
    for about, look in _LOOKS.items():
        yield from examined(about, lambda look=look: look(path))  # type: ignore[misc]
    yield from examined("data file", lambda: _inside(path))


def lost_format(here: Path) -> Finding | None:
    """Returns what is wrong where a directory holds all of a store but the file by which it is found."""
    for directory in (here, *here.parents):
        store = directory / CONFIG_NAME / STORE_NAME
        if (store / "data.mdb").exists() and not (store / "FORMAT").exists():
            text = f"{store} has data.mdb and no FORMAT, so that it counts as none"
            where = "here" if directory == here else f"in {directory}"
            return Finding("bad", "store", text, f"redun init {where} writes it anew", DAMAGED)
    return None


def _pointer(path: Path, here: Path) -> Iterator[Finding]:
    for directory in (here, *here.parents):
        config = directory / CONFIG_NAME
        if config.is_file() and path.samefile(follow_pointer(config)):
            yield Finding("ok", "pointer", f"{config} is a file that points to {path.parent}")
        if config.exists():
            return


# -- from outside -----------------------------------------------------------------------------------------------------


def _place(path: Path) -> Iterator[Finding]:
    place = condition.place(path)
    name = place.filesystem or "of a type that the system does not tell"
    if place.network:
        text = f"{name}, a network file system: memory maps and locks do not hold there, and the store will be damaged"
        yield Finding(
            "bad",
            "file system",
            text,
            "move it away, and keep it on a local disk: redun init --at /local/path",
            UNAVAILABLE,
        )
    else:
        yield Finding("ok", "file system", f"{name}, a local one" if place.filesystem else name)
    text = f"{size_text(place.free)} free of {size_text(place.total)}"
    if place.names is not None and place.names < _FEW_NAMES:
        yield Finding("warn", "disk", f"{text}, and room for {place.names} more files only", "remove small files there")
    elif place.free < _NO_BYTES:
        yield Finding("bad", "disk", text, "make room: a run ends where nothing can be written", UNAVAILABLE)
    else:
        yield Finding("warn" if place.free < _FEW_BYTES else "ok", "disk", text)


def _format(path: Path) -> Iterator[Finding]:
    found: ObjectFormat = read_format(path).object_format
    if found.name == "sha256":
        yield Finding("ok", "object format", "sha256: withstands objects that were built on purpose")
    else:
        text = f"{found.name}: detects damage, not malice; data from strangers needs a sha256 store"
        yield Finding("ok", "object format", text)


def _files(path: Path) -> Iterator[Finding]:
    files = condition.files(path)
    if files.data is None:
        yield Finding("bad", "data file", f"{path / 'data.mdb'} is missing", "bring it back from a backup", DAMAGED)
    if files.forbidden:
        text = f"no permission to write to {', '.join(files.forbidden)}: no run can be recorded here"
        yield Finding("warn", "permissions", text, f"let this user write to all of {path}")
    else:
        yield Finding("ok", "permissions", "everything in it may be written to")
    if files.locked:
        yield Finding("warn", "lock", "gc is at work, and keeps runs out until it ends")
    yield Finding("ok", "large values", f"{_count(files.blobs, 'file')}, {size_text(files.blob_bytes)}")
    if files.leftovers:
        text = f"{_count(files.leftovers, 'file')} of writes that were cut off, {size_text(files.leftover_bytes)}"
        yield Finding("warn", "leftovers", text, f"while nothing runs, {path / 'incoming'} may be emptied")
    if files.collisions:
        text = f"{_count(files.collisions, 'time')}, two objects had one id; they are kept in {path / 'collisions'}"
        yield Finding("warn", "collisions", text, DigestCollision.WHAT_TO_DO)


_LOOKS: Final[dict[str, Callable[[Path], Iterable[Finding]]]] = {
    "file system": _place,
    "object format": _format,
    "files": _files,
}


# -- from inside ------------------------------------------------------------------------------------------------------


def _compression(store: Store) -> Iterator[Finding]:
    if store.compression == "none":
        return
    try:
        check_compression(store.compression)
    except LibraryMissing as error:
        text = f"{store.compression}: {error.message}; what was compressed elsewhere cannot be read here"
        yield Finding("warn", "compression", text, error.hint)
        return
    yield Finding("ok", "compression", f"{store.compression}, where it makes something smaller by an eighth or more")


def _inside(path: Path) -> Iterator[Finding]:
    data = path / "data.mdb"
    if not data.exists():
        return
    if not os.access(data, os.R_OK):
        yield Finding("bad", "data file", f"no permission to read {data}", "ask its owner", UNAVAILABLE)
        return
    if data.stat().st_size <= _VERIFIED:
        problems = soundness.verify(path)
        # Looked at twice: another process may have been writing.
        if problems and soundness.verify(path):
            text = f"{data} is damaged: {problems[0]}"
            yield Finding("bad", "data file", text, "redun fsck tells what; until then do not run", DAMAGED)
            return
        verified = "every page is sound"
    else:
        verified = "redun fsck verifies it"
    try:
        store = Store.open(path, read_only=True)
    except StoreError as error:
        yield bad("data file", error)
        return
    with store:
        yield from _room(path, verified)
        yield Finding(
            "ok",
            "durability",
            "normal: after a loss of power a run that was going on may lack its last steps, no other",
        )
        yield from _compression(store)
        for about, look in (("readers", _readers), ("runs", _live), ("history", _history)):
            yield from examined(about, lambda look=look: look(store))  # type: ignore[misc]


def _room(path: Path, verified: str) -> Iterator[Finding]:
    room = condition.room(path)
    size = size_text((path / "data.mdb").stat().st_size)
    text = f"{size}, {size_text(room.used_bytes)} used, {verified}; {room.transaction:,} transactions; "
    text += f"its map of {size_text(room.map_bytes)} grows by itself"
    if room.used_bytes > _NEARLY * limits.MAP_BYTES_MAX:
        text += f", and nearly the most there is ({size_text(limits.MAP_BYTES_MAX)})"
        yield Finding("warn", "data file", text, "begin another store: redun init elsewhere")
    else:
        yield Finding("ok", "data file", text)


def _readers(store: Store) -> Iterator[Finding]:
    readers = [reader for reader in store.readers() if reader.pid != os.getpid()]
    stuck = [reader for reader in readers if reader.behind >= _BEHIND or reader.state in ("stopped", "traced")]
    for reader in stuck:
        command = " ".join(reader.command) or "an unknown command"
        text = (
            f"process {reader.pid} ({command[:80]}, {reader.state}) reads what {reader.behind:,} transactions ago was"
        )
        yield Finding("warn", "readers", f"{text}: the data file grows while it does", f"end it: kill {reader.pid}")
    if not stuck:
        yield Finding("ok", "readers", f"{_count(len(readers), 'transaction')} of other processes, none for long")


def _live(store: Store) -> Iterator[Finding]:
    live = store.live_runs()
    for info in live:
        facts = dict(info.info)
        where = f"process {facts.get('pid', '?')} on {facts.get('host', '?')}"
        who = f"{UUID(bytes=info.uuid)} since {clock(info.start)} ({where})"
        if info.alive:
            yield Finding("ok", "runs", f"{who} is going on")
        else:
            hint = "the next redun run records it as interrupted; what had finished is kept"
            yield Finding("warn", "runs", f"{who} has died", hint)
    if not live:
        yield Finding("ok", "runs", "none is going on")


def _history(store: Store) -> Iterator[Finding]:
    now = int(time.time() * _MICROSECONDS)
    newest = [record for _, record in islice(store.executions(), _EXECUTIONS)]
    starts = [info.start for info in store.live_runs()]
    ahead = max([*starts, *(record.end for record in newest)], default=0)
    if ahead > now + _SLACK:
        text = f"a run is recorded at {clock(ahead)}, which is in the future"
        yield Finding("warn", "clock", text, "set the clock: executions are listed in the order of their times")
    elif _went_back(newest):
        yield Finding(
            "warn", "clock", "it went back between two of the last executions: they may be listed in disorder"
        )
    else:
        yield Finding("ok", "clock", "no run is recorded in the future")
    text = f"the newest execution began {clock(newest[0].start)}" if newest else "no execution yet"
    yield Finding("ok", "history", text)


def _went_back(newest: list[ExecRecord]) -> bool:
    """Whether an execution ended before one that was recorded earlier in the same store."""
    ends: dict[bytes, int] = {}
    for record in newest:
        if record.status is Status.INTERRUPTED:
            continue  # recorded when it was found, with the time at which it was last heard of
        if record.end > ends.get(record.store, record.end) + _SLACK:
            return True
        ends[record.store] = record.end
    return False


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
