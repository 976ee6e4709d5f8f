"""`redun pin` and `redun unpin`: what stays, whatever is pruned."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.exits import OK, UsageError
from redun.cli.history_view import SHORT, uuid_text
from redun.core.errors import NotFound, RefMoved, StoreError
from redun.core.forms import printable

if TYPE_CHECKING:
    from redun.core.digest import Digest
    from redun.store import Store

_KINDS = {"exec": "Exec", "call": "CallNode", "expr": "Expression"}


@click.command(short_help="Keep something, whatever is pruned.")
@click.option("-m", "--message", metavar="TEXT", default="pin", help="Why; kept in the log of the pin.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("name", metavar="[ID]", required=False)
@click.argument("pin_name", metavar="[NAME]", required=False)
@click.pass_context
def pin(ctx: click.Context, name: str | None, pin_name: str | None, message: str, as_json: bool) -> int:
    """Keep what ID names and all that it leads to, whatever `redun prune` says, under NAME or its own id. Without ID,
    show what is pinned.

    \b
    redun pin - paper                        the latest execution, as it was published
    redun pin 58dc3a20                       a value, a call, ...
    redun pin                                what is pinned
    redun unpin paper
    """
    found = settings(ctx)
    if name is None:
        with open_store(found) as store:
            _show(store, store.pins(), found, as_json=as_json)
        return OK
    from redun.store.lookup_names import find_object  # here, as below: help loads no store

    with open_store(found, read_only=False) as store:
        digest = find_object(store, name).digest
        chosen = digest.hex() if pin_name is None else pin_name
        _check_name(chosen)
        try:
            store.pin(digest, chosen, reason=message)
        except RefMoved:
            raise UsageError(
                f"something else is pinned as {chosen!r}", hint=f"choose another name, or redun unpin {chosen}"
            ) from None
        if as_json or not found.quiet:
            _show(store, {chosen: digest}, found, as_json=as_json)
    return OK


@click.command(short_help="Let go of what was pinned.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("name", metavar="NAME|ID")
@click.pass_context
def unpin(ctx: click.Context, name: str, as_json: bool) -> int:
    """Let go of what was pinned under NAME, or of every pin of what ID names. It stays until it is pruned.

    Example: redun unpin paper
    """
    from redun.store.lookup_names import find_object

    found = settings(ctx)
    with open_store(found, read_only=False) as store:
        pins = store.pins()
        if name not in pins:
            try:
                digest = find_object(store, name).digest
            except NotFound:
                raise NotFound(f"nothing is pinned as {name!r}", hint="redun pin shows what is pinned") from None
            pins = {pinned: at for pinned, at in pins.items() if at == digest}
        else:
            pins = {name: pins[name]}
        if not pins:
            raise NotFound(f"{name} is not pinned", hint="redun pin shows what is pinned")
        for pinned in pins:
            store.unpin(pinned)
        if as_json or not found.quiet:
            _show(store, pins, found, as_json=as_json)
    return OK


def _check_name(name: str) -> None:
    from redun.store import refs

    try:
        refs.check_name(refs.PINS + name)
    except StoreError as error:
        raise UsageError(f"{name!r} is no name for a pin", hint=error.hint) from None


def _show(store: Store, pins: dict[str, Digest], found: Any, *, as_json: bool) -> None:
    rows = [(pin, digest.hex(), *_named(store, digest)) for pin, digest in pins.items()]
    if as_json:
        import json

        keys = ("name", "id", "kind", "called")
        write_out(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]) + "\n")
        return
    paint = found.paint(sys.stdout)
    for pin, digest, kind, called in rows:
        as_name = "" if pin == digest else f" {printable(pin)}"
        write_out(f"{printable(_KINDS.get(kind, kind.capitalize()))} {paint(called[:SHORT], 'id')}{as_name}\n")
    if not rows:
        write_out("Nothing is pinned: redun pin ID keeps it, whatever is pruned.\n")


def _named(store: Store, digest: Digest) -> tuple[str, str]:
    """The kind of an object, and the id that people know it by: an execution's is its uuid."""
    found = store.resolve(digest.hex(), 1)
    kind = found[0][0] if found else "missing"
    if kind != "exec":
        return kind, digest.hex()
    return kind, uuid_text(store.get_record(digest).uuid)
