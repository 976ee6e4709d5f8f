"""Whether what has a name leads to objects that are there: refs, live runs, and the rows of the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from redun.core.digest import Digest, Key, ObjectFormat
from redun.core.errors import StoreDamaged, StoreError
from redun.store.check_objects import are_all, kinds, named_kind, pages
from redun.store.checksums import body_of
from redun.store.journal import Journal, LiveInfo
from redun.store.memo import MemoRow, decode_row
from redun.store.ports import Backend, ReadTransaction, scan_prefix
from redun.store.problems import Problem, Progress
from redun.store.refs import EXECUTIONS, check_name, last_move, log_name, read_entry, target_of, text_of

_LOGGED: Final = "its log says where it was, and is believed"
_COUNTS: Final = "the ref itself counts"
_REMOVE_REF: Final = "point it elsewhere with Store.set_ref"
_CHAIN: Final = "the history is cut off there; put the store back from a copy if there is one"
_RUN: Final = "what it had recorded in the cache is used all the same; the entry itself is of no further use"
_ROW: Final = "harmless: the next run of its task replaces it"

_IGNORED: Final = "it is not used: what it says is found out again"

Wanted = list[tuple[str, Digest, str]]
"""(what it is to the one that names it, id, the kind that it must be of)."""


def check_refs(backend: Backend) -> Iterator[Problem]:
    """Returns the problems of refs: each names an object of its kind, and is where its log says it went last."""
    for key in [key for key, _ in scan_prefix(backend, "refs", b"")]:
        name = key.decode("utf-8", "backslashreplace")
        try:
            check_name(key.decode("utf-8", "surrogateescape"))
        except StoreError as error:
            yield Problem(2, "ref", name, error.message, _REMOVE_REF)
            continue
        yield from backend.read(lambda txn, of=(key, name): list(_ref_problems(txn, *of)))  # type: ignore[misc]


def _ref_problems(txn: ReadTransaction, key: bytes, name: str) -> Iterator[Problem]:
    row = txn.get("refs", key)
    if row is None:
        return  # removed since
    is_chain = name.startswith(EXECUTIONS)
    remedy = _CHAIN if is_chain else _REMOVE_REF
    try:
        target = target_of(key, row)
    except StoreDamaged:
        yield Problem(2, "ref", name, f"ref {name} does not fit its checksum", _LOGGED)
        return
    env = txn.get("objects", target)
    if env is None:
        yield Problem(2, "ref", name, f"ref {name} points to {target.hex()}, which is missing", remedy)
    elif is_chain and named_kind(env) != "exec":
        yield Problem(2, "ref", name, f"ref {name} points to the {named_kind(env)} {target.hex()}", remedy)
    try:
        move = last_move(txn, key)
        if move is None or move.new != target:
            yield Problem(2, "reflog", name, f"the log of ref {name} does not end where the ref is", _COUNTS)
    except StoreDamaged:
        pass  # each entry of every log is looked at


def check_logs(backend: Backend) -> Iterator[Problem]:
    """Returns the problems of the logs of refs: each entry can be read, and what is there no more was removed."""
    last = b""
    for page in pages(backend, "reflog"):
        for at, row in page:
            name = log_name(at)
            try:
                read_entry(at, row)
            except StoreDamaged as error:
                yield Problem(2, "reflog", text_of(name), error.message, _COUNTS)
            if name != last:
                yield from backend.read(lambda txn, of=name: list(_lost(txn, of)))  # type: ignore[misc]
            last = name


def _lost(txn: ReadTransaction, key: bytes) -> Iterator[Problem]:
    with suppress(StoreDamaged):
        move = last_move(txn, key)
        if move is not None and move.new is not None and txn.get("refs", key) is None:
            yield Problem(2, "ref", text_of(key), f"ref {text_of(key)} is gone, and its log does not say so", _LOGGED)


def check_runs(backend: Backend, journal: Journal) -> Iterator[Problem]:
    """Returns the problems of live runs: each can be read, and what it names is there."""
    for uuid in journal.uuids():
        where = uuid.hex()
        try:
            info = journal.info(uuid)
        except StoreDamaged as error:
            yield Problem(2, "run", where, error.message, _RUN)
            continue
        if info is None:
            if uuid in journal.uuids():
                yield Problem(2, "run", where, f"run {where} has entries that none has", _RUN)
            continue
        for message in _unfit(backend, _named_by(info)):
            yield Problem(2, "run", where, f"run {where}: {message}", _RUN)


def _named_by(info: LiveInfo) -> Wanted:
    wanted: Wanted = [("page", page, "jobs") for page in info.pages]
    if info.root is not None:
        wanted.append(("root", info.root, "call"))
    for task, source in info.sources:
        wanted += [("task", task, "task"), ("source", source, "source")]
    for row in (*info.tail, *info.running):
        roles = [("call", row.call, "call"), ("footprint", row.head, "footprint"), ("traceback", row.trace, "trace")]
        wanted += [(f"{role} of job {row.number}", found, kind) for role, found, kind in roles if found is not None]
    return wanted


def check_memo(backend: Backend, fmt: ObjectFormat, progress: Progress) -> Iterator[Problem]:
    """Returns the problems of the rows of the cache: each fits its checksum, and what it names is there."""
    total, done = backend.read(lambda txn: txn.count("memo")), 0
    progress("cache", 0, total)
    for page in pages(backend, "memo"):
        rows: list[tuple[bytes, MemoRow]] = []
        for key, data in page:
            row = decode_row(Key(key), data, fmt.size)
            if row is None:
                message = f"the cache row of key {key.hex()} does not fit its checksum"
                yield Problem(2, "memo", key.hex(), message, _ROW)
            else:
                rows.append((key, row))
        yield from _misleading(backend, rows)
        done += len(page)
        progress("cache", done, max(total, done))


def check_derived(backend: Backend) -> Iterator[Problem]:
    """Returns the problems of what is derived: each row fits its checksum."""
    for table in ("superseded", "stat", "tally"):
        for page in pages(backend, table):
            for key, row in page:
                if body_of(key, row) is None:
                    message = f"the row {key.hex()} of table {table} does not fit its checksum"
                    yield Problem(2, "derived", key.hex(), message, _IGNORED)


def _misleading(backend: Backend, rows: list[tuple[bytes, MemoRow]]) -> Iterator[Problem]:
    values, exprs, called, heads = set[bytes](), set[bytes](), set[bytes](), set[bytes]()
    for _, (reduction, is_expr, calls) in rows:
        (exprs if is_expr else values).add(reduction)
        for call, head, _ in calls:
            called.add(call)
            heads.add(head)
    wanted = {"value": values, "expr": exprs, "call": called, "footprint": heads}
    if all(are_all(backend, kind, digests) for kind, digests in wanted.items()):
        return
    there = kinds(backend, set().union(*wanted.values()))
    for key, row in rows:
        for message in _misfits(_answers(row), there):
            yield Problem(2, "memo", key.hex(), f"the cache row of key {key.hex()}: {message}", _ROW)


def _answers(row: MemoRow) -> Wanted:
    wanted: Wanted = [("reduction", row.reduction, "expr" if row.is_expr else "value")]
    for call in row.calls:
        wanted += [("call", call.call, "call"), ("footprint", call.head, "footprint")]
    return wanted


def _unfit(backend: Backend, wanted: Wanted) -> Iterator[str]:
    return _misfits(wanted, kinds(backend, (digest for _, digest, _ in wanted)))


def _misfits(wanted: Wanted, there: dict[bytes, str]) -> Iterator[str]:
    for role, digest, fitting in wanted:
        kind = there.get(digest)
        if kind is None:
            yield f"its {role} {digest.hex()} is missing"
        elif kind != fitting:
            yield f"its {role} {digest.hex()} is a {kind}"
