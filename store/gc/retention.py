"""Retention: which executions stay. The others are marked as pruned: they are in no list any more, and what only they
point to is for the next collection to take. The chain itself is not rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from redun.core.digest import Digest
from redun.core.objects import ExecRecord
from redun.store import history
from redun.store.gc import shallow
from redun.store.gc.shallow import Missing
from redun.store.ports import Backend, WriteTransaction
from redun.store.refs import PINS, all_refs
from redun.store.tags import effective

Execution = tuple[Digest, ExecRecord]
TagsOf = dict[bytes, dict[tuple[str, str], bool]]


class KeepRules(NamedTuple):
    """What keeps an execution: one rule is enough.

    Attributes:
        last: so many of the newest stay.
        since: those that started then or later stay; microseconds since the epoch.
        tags: those with one of these tags stay: (name, value), or (name, None) for any value.
    """

    last: int = 0
    since: int | None = None
    tags: tuple[tuple[str, str | None], ...] = ()


class Pruning(NamedTuple):
    """What rules come to: the executions that stay and those that go, newest first."""

    kept: tuple[Execution, ...]
    pruned: tuple[Execution, ...]


def plan(backend: Backend, executions: Iterator[Execution], rules: KeepRules, tags_of: Callable[[], TagsOf]) -> Pruning:
    """Returns which of the executions stay by some rules, and which go.

    Args:
        tags_of: how the tags of executions were changed since they were run, by uuid.
    """
    changed = tags_of() if rules.tags else {}
    pins = set(pinned(backend))
    kept: list[Execution] = []
    pruned: list[Execution] = []
    for place, (digest, record) in enumerate(executions):
        stays = place < rules.last or digest in pins or _is_kept(record, rules, changed)
        (kept if stays else pruned).append((digest, record))
    return Pruning(tuple(kept), tuple(pruned))


def _is_kept(record: ExecRecord, rules: KeepRules, changed: TagsOf) -> bool:
    if rules.since is not None and record.start >= rules.since:
        return True
    tags = effective(record.tags, changed.get(record.uuid))
    return any(name == tag and value in (None, text) for name, text in tags for tag, value in rules.tags)


def pinned(backend: Backend) -> list[Digest]:
    """Returns what is pinned."""
    return list(all_refs(backend, PINS).values())


def prune(write: Callable[[Callable[[WriteTransaction], Any]], Any], pruning: Pruning) -> None:
    """Marks executions as pruned."""

    def mark(txn: WriteTransaction) -> None:
        for digest, _ in pruning.pruned:
            shallow.add(txn, digest, Missing.CONTENTS)

    if pruning.pruned:
        write(mark)


def chain(
    backend: Backend, get: Callable[[Digest], tuple[str, bytes]], head: Digest, declared: Mapping[Digest, Missing]
) -> Iterator[Execution]:
    """Returns the executions of one chain, newest first, the pruned ones too, to where it ends or was cut. Those that
    are known to be lost are passed over."""
    digest: Digest | None = head
    while digest is not None:
        record = ExecRecord.parse(get(digest)[1])
        yield digest, record
        cut = declared.get(digest, Missing(0)) & Missing.PARENT
        digest = None if cut else history.present(backend, record.parent)
