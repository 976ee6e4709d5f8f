"""`redun cat-object`: one object of the store, of any kind, as text, JSON or its very bytes.

It imports no user code and makes no instance of a stored class.
"""

from __future__ import annotations

import sys
from typing import Final

import click

from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.exits import OK, UsageError
from redun.cli.pager import write_lines
from redun.core.frame import header
from redun.store import Store
from redun.store.lookup_names import ObjectName, find_object

#: Bytes of a blob that JSON holds; --raw has no such limit.
_JSON_BYTES: Final = 16 * 1024 * 1024
#: Bytes written at a time.
_CHUNK: Final = 1024 * 1024


@click.command("cat-object", short_help="Show one object of the store.")
@click.option("-t", "kind", is_flag=True, help="Print its kind.")
@click.option("-s", "size", is_flag=True, help="Print the size of its content in bytes.")
@click.option("-p", "pretty", is_flag=True, help="Print it for people (the default).")
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON document.")
@click.option("--raw", is_flag=True, help="Write its framed bytes: their hash is its id.")
@common_options
@click.argument("name", metavar="ID")
@click.pass_context
def cat_object(ctx: click.Context, kind: bool, size: bool, pretty: bool, as_json: bool, raw: bool, name: str) -> int:
    """Show the object that ID names: the start (4 characters or more) of its id.

    An execution's uuid, `-` (the latest) and `~1` (the one before) name the execution's own object, and the name of a
    task its newest version.

    \b
    redun cat-object 5929ceb5                an object, with what it points to
    redun cat-object --json -                the latest execution
    redun cat-object --raw 5929ceb5 > o.bin  its very bytes
    """
    if kind + size + pretty + as_json + raw > 1:
        raise UsageError("-t, -s, -p, --json and --raw do not go together", hint="give one of them")
    with open_store(settings(ctx)) as store:
        found = find_object(store, name)
        if kind:
            write_out(f"{found.kind}\n")
        elif size:
            write_out(f"{_content(store, found).nbytes}\n")
        elif raw:
            _write_raw(store, found)
        elif as_json:
            _write_json(store, found)
        else:
            _write_pretty(ctx, store, found)
    return OK


def _content(store: Store, found: ObjectName) -> memoryview:
    """The payload; that of a blob is mapped, not read."""
    return store.open_blob(found.digest) if found.kind == "blob" else memoryview(store.get(found.digest)[1])


def _write_raw(store: Store, found: ObjectName) -> None:
    content = _content(store, found)
    stream = sys.stdout.buffer
    stream.write(header(found.kind, content.nbytes))
    for start in range(0, content.nbytes, _CHUNK):
        stream.write(content[start : start + _CHUNK])
    stream.flush()


def _write_json(store: Store, found: ObjectName) -> None:
    from redun.cli.log_json import json_text  # here, as below: `-t`, `-s` and `--raw` do without
    from redun.core.json_form import object_to_json

    content = _content(store, found)
    fits = found.kind != "blob" or content.nbytes <= _JSON_BYTES
    document = {
        "id": found.digest.hex(),
        "kind": found.kind,
        "size": content.nbytes,
        "content": object_to_json(found.kind, bytes(content)) if fits else None,
    }
    write_out(json_text(document) + "\n")


def _write_pretty(ctx: click.Context, store: Store, found: ObjectName) -> None:
    from redun.cli.graph import Graph
    from redun.cli.object_view import content_lines

    chosen = settings(ctx)
    write_lines(content_lines(Graph(store), found.kind, found.digest, chosen.paint(sys.stdout)), chosen)
