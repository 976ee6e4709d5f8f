"""A reader of stores that knows only what FORMAT.md says, and checks its invariants 1 to 6: `format_reader.py STORE`.

It imports nothing of the program that writes stores. It prints what is wrong, a line each, then what it saw as JSON.
"""

import hashlib
import importlib
import json
import re
import sys
import zlib
from collections import Counter
from pathlib import Path

import lmdb
import msgpack
import xxhash

KINDS = ["value", "blob", "tree", "task", "source", "expr", "call", "footprint", "jobs", "exec", "trace", "note"]
OTHER_KIND = re.compile(r"(?=.{1,64}$)[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+")
HASHES = {"xxh3-128": lambda b: xxhash.xxh3_128(b).digest(), "sha256": lambda b: hashlib.sha256(b).digest()}
POINTER, NAMES_CODE = 64, set(range(4, 15))  # the latter: values that name a class, an adapter, a function or a task
OF_A_RUN = {"jobs", "exec", "trace", "note"}


class Reader:
    """Sections 1, 2, 6 and 7."""

    def __init__(self, directory):
        first, *lines = (directory / "FORMAT").read_text(encoding="utf-8").splitlines()
        facts = dict(line.split(" ", 1) for line in lines)
        self.directory, self.hash, self.id = directory, HASHES[facts.pop("objects")], bytes.fromhex(facts.pop("id"))
        if first != "redun store" or facts != {"layout": "1", "engine": "lmdb-0.9"}:
            sys.exit(f"not a store of layout 1: {directory}")
        self.env = lmdb.open(str(directory), readonly=True, max_dbs=64, lib_version=0)

    def table(self, name):
        try:
            handle = self.env.open_db(name.encode(), create=False)
        except lmdb.NotFoundError:
            return {}
        with self.env.begin(db=handle) as txn:
            return dict(txn.cursor())

    def open(self, digest, envelope):
        """(kind, payload) of an envelope; no payload where its file is missing, or does not hold what the row says."""
        codec, code = envelope[:2]
        end = 2 + max(0, code - 128)
        kind = KINDS[code] if code < 128 else envelope[2:end].decode("ascii")
        if code >= 128 and not OTHER_KIND.fullmatch(kind):
            raise ValueError(f"{digest.hex()} is of kind {kind!r}")
        rest, path = envelope[end:], self.directory / "blobs" / digest.hex()[:2] / digest.hex()
        in_file = path.read_bytes() if path.exists() else None
        if codec == 1:  # the library only where it is needed
            zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
            size, rest = int.from_bytes(rest[:4], "big"), zstd.decompress(rest[4:])
            if len(rest) != size:
                return kind, None
        if codec in (0, 1):
            return kind, rest if in_file in (None, rest) else None
        return kind, in_file if codec == 2 and in_file and len(in_file) == int.from_bytes(rest, "big") else None

    def id_of(self, kind, payload):
        return self.hash(b"%s %d\0%s" % (kind.encode(), len(payload), payload))

    def memo_row(self, key, row):
        """(whether the reduction is an expr, reduction, calls); no calls where the check does not fit."""
        step, size = 2 * len(key) + 8, len(key)
        fits = zlib.crc32(key + row[:-4]) == int.from_bytes(row[-4:], "big")
        assert not fits or len(row) == 1 + size + step * (row[0] & 0x7F) + 4
        calls = [row[at : at + size] for at in range(1 + size, len(row) - 4, step)]
        return row[0] >= 128, row[1 : 1 + size], calls if fits else []


def unpack(payload):
    return msgpack.unpackb(payload, strict_map_key=False)


def extensions(payload):
    stack = [unpack(payload)]
    while stack:
        item = stack.pop()
        if isinstance(item, msgpack.ExtType):
            yield item
            stack += unpack(item.data) if item.code < POINTER else []
        else:
            stack += [*item, *item.values()] if isinstance(item, dict) else item if isinstance(item, list) else []


def is_canonical(payload):
    parts = [payload, *(data for code, data in extensions(payload) if code < POINTER)]
    return all(msgpack.packb(unpack(part)) == part for part in parts)


def reach(pointers, roots):
    seen, stack = set(roots), list(roots)
    while stack:
        new = set(pointers.get(stack.pop(), ())) - seen
        seen |= new
        stack += new
    return seen


def flat(objects, arguments):
    for pointer in arguments:  # more than 1,024 are one pointer to a tree
        kind, payload = objects[pointer.data]
        yield from flat(objects, unpack(payload)[3]) if kind == "tree" else [pointer.data]


def check(reader):
    """Yields what is wrong, and last what was seen."""
    objects, pointers, memo, computed = {}, {}, reader.table("memo"), 0
    for digest, envelope in reader.table("objects").items():
        kind, payload = reader.open(digest, envelope)
        if payload is None or reader.id_of(kind, payload) != digest:
            yield f"1, 2: {kind} {digest.hex()} does not hash to its id, or its file holds something else"
        elif kind != "blob" and not is_canonical(payload):
            yield f"1: {kind} {digest.hex()} is not canonical"
        else:
            objects[digest] = kind, payload
            pointers[digest] = [] if kind == "blob" else [d for code, d in extensions(payload) if code == POINTER]
    known = objects.keys() | reader.table("shallow").keys() | reader.table("lost").keys()
    for digest, found in pointers.items():
        for target in set(found) - known:
            yield f"3: {objects[digest][0]} {digest.hex()} points to {target.hex()}, which is not there"
    refs, logs = {name: row[:-4] for name, row in reader.table("refs").items()}, {}
    for key, entry in sorted(reader.table("reflog").items()):
        logs.setdefault(key[:-9], []).append(msgpack.unpackb(entry[:-4]))
    for name in {*refs, *logs}:
        now, moves = refs.get(name), logs.get(name, [])
        if [None, *(new for _, _, new, _ in moves)] != [*(old for _, old, _, _ in moves), now]:
            yield f"4: the log of ref {name.decode()} does not lead to where it is"
        if now and (now not in objects or (name.startswith(b"executions/") and objects[now][0] != "exec")):
            yield f"4: ref {name.decode()} names no object of its kind"
    for key, (is_expr, reduction, calls) in ((key, reader.memo_row(key, row)) for key, row in memo.items()):
        for _, task, args, own, how, result, _, _ in (unpack(objects[call][1]) for call in calls if call in objects):
            arguments = list(flat(objects, args))
            if ((own or result).data, bool(own)) != (reduction, is_expr):
                yield f"5: the reduction of memo row {key.hex()} is not that of its call"
            found = (objects.get(at, ("lost", b"")) for at in reach(pointers, arguments))
            values = [payload for kind, payload in found if kind == "value"]
            if not NAMES_CODE & {code for value in values for code, _ in extensions(value)}:
                computed += 1
                found = reader.hash(b"call\0" + task.data + b"".join(arguments))
                if (reader.hash(b"error\0" + found) if how == 1 else found) != key:
                    yield f"5: the call of memo row {key.hex()} does not give its key"
    for digest in reach(pointers, [digest for digest, (kind, _) in objects.items() if kind == "call"]) & objects.keys():
        kind, payload = objects[digest]
        if kind in OF_A_RUN or (kind == "source" and unpack(payload)[2:] != ["", 0]):
            yield f"6: a call reaches the {kind} {digest.hex()}"
    kinds = Counter(kind for kind, _ in objects.values())
    yield {"kinds": kinds, "refs": len(refs), "memo": len(memo), "keys": computed}


if __name__ == "__main__":
    *problems, seen = check(Reader(Path(sys.argv[1])))
    sys.stdout.write("\n".join([*map(str, problems), json.dumps(seen)]) + "\n")
    sys.exit(bool(problems))
