"""Objects that are damaged or missing: had back where there is another copy, else taken out and declared lost."""

from __future__ import annotations

from collections.abc import Iterable

from redun.core.digest import Digest
from redun.core.errors import LibraryMissing, StoreDamaged, StoreError
from redun.core.frame import KIND_CODES, KINDS, header
from redun.store import lost
from redun.store.gc import trash
from redun.store.journal import now
from redun.store.lost import Loss
from redun.store.mending.chains import Chains
from redun.store.mending.work import Work
from redun.store.objects import IN_FILE, SIZE_BYTES, kind_of
from redun.store.ports import WriteTransaction


def take_out(work: Work, digests: Iterable[bytes]) -> None:
    """Takes damaged objects out, except those of which there is a good copy."""
    chains = Chains(work)
    for digest in digests:
        env = work.get("objects", digest)
        if env is None or _had_back(work, digest):
            continue
        kind = _kind(env, digest, chains)
        work.aside.row("objects", digest, env)
        work.aside.settle()
        work.aside.blob(work.blobs, digest)
        _declare(work, digest, kind, chains)
        message = f"{kind} {digest.hex()} was damaged and is taken out; {_prospect(kind)}"
        work.note("object", digest.hex(), message, lost=True)


def declare_missing(work: Work, digests: Iterable[bytes]) -> None:
    """Declares objects lost that are pointed to and missing, except those that can be had back."""
    chains = Chains(work)
    for digest in digests:
        if work.has(digest) or _had_back(work, digest):
            continue
        kind = "exec" if chains.is_execution(digest) else "object"
        _declare(work, digest, kind, chains)
        message = f"{kind} {digest.hex()} is missing, which is now declared; {_prospect(kind)}"
        work.note("pointer", digest.hex(), message, lost=True)


def _declare(work: Work, digest: bytes, kind: str, chains: Chains) -> None:
    loss = Loss(now(), kind, chains.before(digest) if kind == "exec" else None)

    def replace(txn: WriteTransaction) -> None:
        txn.delete("objects", digest)
        txn.delete("trash", digest)
        if len(digest) in (16, 32):  # other keys are no ids: nothing can point to one
            lost.declare(txn, digest, loss)

    work.write(replace)


def _kind(env: bytes, digest: bytes, chains: Chains) -> str:
    if chains.is_execution(digest):
        return "exec"
    try:
        return kind_of(env)
    except StoreDamaged:
        return "object"


def _prospect(kind: str) -> str:
    if kind in lost.WRITTEN_ONCE:
        return "what it said of the past is lost"
    return "the next run that needs it makes it again"


def _had_back(work: Work, digest: bytes) -> bool:
    return _from_trash(work, digest) or _from_file(work, digest)


def _from_trash(work: Work, digest: bytes) -> bool:
    rows = work.backend.read(lambda txn: trash.find(txn, [digest]))
    try:
        for key, env in rows:
            work.objects.open(Digest(key), env)
    except LibraryMissing:
        raise
    except StoreError:
        return False
    if not rows:
        return False

    def put(txn: WriteTransaction) -> None:
        txn.put_many("objects", rows)
        txn.delete("trash", digest)

    work.write(put)
    work.note("object", digest.hex(), f"{digest.hex()} was restored from the trash")
    return True


def _from_file(work: Work, digest: bytes) -> bool:
    """Makes the row of an object whose file is whole: it lacks nothing else."""
    try:
        parts = work.blobs.parts(digest)
        if parts is None:
            return False
        size = sum(map(len, parts))
        hashers = {kind: work.format.new() for kind in KINDS}
        for kind, hasher in hashers.items():
            hasher.update(header(kind, size))
        for part in work.blobs.parts(digest) or ():
            for hasher in hashers.values():
                hasher.update(part)
    except StoreError:
        return False
    fitting = [kind for kind, hasher in hashers.items() if hasher.digest() == digest]
    if not fitting:
        return False
    row = bytes((IN_FILE, KIND_CODES[fitting[0]])) + size.to_bytes(SIZE_BYTES, "big")
    work.write(lambda txn: txn.put("objects", digest, row))
    work.note("object", digest.hex(), f"the row of {fitting[0]} {digest.hex()} was made again from its file")
    return True
