"""`redun serve`: the side of a sync that is asked. ssh runs it; nobody else needs to."""

from __future__ import annotations

import sys

import click

from redun.cli.context import output_options
from redun.cli.exits import UsageError


@click.command(short_help="Answer one push or pull, over standard input and output.")
@click.option("--stdio", is_flag=True, help="Over standard input and output; there is no other way.")
@click.option("--read-only", is_flag=True, help="Take nothing.")
@output_options
@click.argument("path", metavar="[PATH]", default=".")
def serve(stdio: bool, read_only: bool, path: str) -> None:
    """Answer one push, fetch or pull for the store at PATH. ssh runs it at the other end of `redun push host:path`.

    \b
    ssh host redun serve --stdio project     what is run there
    """
    if not stdio:
        raise UsageError("serve needs --stdio", hint="it is run by ssh: redun push host:path")
    # Here and not at the top: `redun serve --help` does without.
    from redun.core.errors import RedunError
    from redun.store import Store
    from redun.store.locate import store_at
    from redun.store.sync.serving import refuse
    from redun.store.sync.serving import serve as answer
    from redun.store.sync.wire import Connection

    connection = Connection(sys.stdin.buffer, sys.stdout.buffer, "the other side")
    try:
        store = Store.open(store_at(path), read_only=read_only)
    except RedunError as error:
        refuse(connection, error)
        raise
    with store:
        answer(connection, store.sync_parts())
