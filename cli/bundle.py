"""`redun bundle`: history as a file, to be carried where no connection goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from redun.cli.backup import STREAM
from redun.cli.context import (
    common_options,
    existing_store,
    locate_store,
    open_store,
    output_errors,
    output_options,
    settings,
    write_out,
)
from redun.cli.exits import MISSING, OK, UsageError
from redun.cli.steps import steps
from redun.cli.sync_view import say
from redun.cli.units import size_text
from redun.core.errors import NotFound
from redun.core.forms import printable

if TYPE_CHECKING:
    from redun.core.digest import Digest
    from redun.store import Store
    from redun.store.sync.bundles import Bundle, Verified
    from redun.store.sync.signing import Signed


@click.group(short_help="History as a file, to be carried elsewhere.")
def bundle() -> None:
    """Put history into a file, and take it out of one: where no connection goes, or to hand a result to somebody.

    redun clone, fetch and pull take the name of such a file in the place of a URL.

    \b
    redun bundle create genome.bundle                    all of the history
    redun bundle create week.bundle --since 58dc3a20     what is new since that execution
    redun bundle unbundle genome.bundle                  over there
    """


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_file = click.argument("file", metavar="FILE")


@bundle.command(short_help="Put history into a file.")
@_file
@click.argument("names", metavar="[REF|ID]...", nargs=-1)
@click.option(
    "--since", metavar="ID", multiple=True, help="Leave out what that leads to: whoever takes the bundle has it."
)
@click.option(
    "--sign", "key", metavar="KEY", help="Sign it with the private key in that file, of ssh-keygen -t ed25519."
)
@_json
@common_options
@click.pass_context
def create(
    ctx: click.Context, file: str, names: tuple[str, ...], since: tuple[str, ...], key: str | None, as_json: bool
) -> None:
    """Put the history, or what REFs and IDs lead to, into a new FILE (- for standard output) with all that belongs to
    it. It holds every value as it is: keep it as safe as the store.

    \b
    redun bundle create genome.bundle                    all of the history
    redun bundle create week.bundle --since 58dc3a20     what is new since that execution
    redun bundle create one.bundle -                     the latest execution, and those before it
    redun bundle create h.bundle --sign ~/.ssh/id_ed25519
    redun bundle create - | ssh host 'cd project && redun bundle unbundle -'
    """
    from redun.store.sync.signing import signer

    found = settings(ctx)
    if file == STREAM:
        _check_stream(as_json)
    sign = None if key is None else signer(key)
    with open_store(found) as store, steps(wanted=not found.quiet) as progress:
        chosen = _chosen(store, names)
        old = [_id(store, name) for name in since]
        if file == STREAM:
            with output_errors():
                made = store.sync.create_bundle(sys.stdout.buffer, chosen, since=old, sign=sign, progress=progress)
                sys.stdout.buffer.flush()
        else:
            made = store.sync.create_bundle(file, chosen, since=old, sign=sign, progress=progress)
    if as_json:
        write_out(json.dumps({"file": file, **_document(made)}) + "\n")
    elif not found.quiet and file != STREAM:
        write_out(f"{printable(file)}: {made.objects:,} objects, {size_text(made.size)}\n")


def _check_stream(as_json: bool) -> None:
    if as_json:
        raise UsageError("--json and a bundle cannot both go to standard output", hint="name a file")
    if sys.stdout.isatty():
        raise UsageError("a bundle is nothing for a terminal", hint="redun bundle create FILE, or redirect the output")


def _chosen(store: Store, names: tuple[str, ...]) -> dict[str, Digest] | None:
    """Returns what is to go into the bundle by its names there; None for all of the history."""
    if not names:
        return None
    known = store.refs()
    ids = [_id(store, name) for name in names if name not in known]
    return {**store.sync.bundle_names(ids), **{name: known[name] for name in names if name in known}}


def _id(store: Store, name: str) -> Digest:
    from redun.store.lookup_names import find_object  # here, as below: help loads no store

    return find_object(store, name).digest


@bundle.command(short_help="Prove that a bundle is sound.")
@_file
@_json
@common_options
@click.pass_context
def verify(ctx: click.Context, file: str, as_json: bool) -> int:
    """Read the bundle FILE (- for standard input) to its end and check every byte and every object of it, and whether
    what it builds on is in the store here, if there is one. Nothing is taken in.

    Example: redun bundle verify week.bundle
    """
    from redun.store.sync.signing import key_text

    found = settings(ctx)
    with steps(wanted=not found.quiet) as progress:
        if locate_store(found) is None:
            from redun.store.sync.bundle_reading import opened
            from redun.store.sync.bundles import verify as prove

            with opened(_source(file)) as reader:
                proven = prove(reader, None, progress=progress)
        else:
            with open_store(found) as store:
                proven = store.sync.verify_bundle(_source(file), progress=progress)
    if as_json:
        missing = None if proven.missing is None else [digest.hex() for digest in proven.missing]
        signed = None if proven.signed is None else {**proven.signed._asdict(), "key": key_text(proven.signed.key)}
        write_out(json.dumps({"file": file, **_document(proven), "missing": missing, "signed": signed}) + "\n")
    elif not found.quiet:
        write_out(f"{printable(file)} is sound: {proven.objects:,} objects, {size_text(proven.size)}\n")
        if proven.signed is not None:
            write_out(f"  {printable(_signature_text(proven.signed))}\n")
        write_out("".join(f"  builds on {digest.hex()}, which is not here\n" for digest in proven.missing or ()))
    return MISSING if proven.missing else OK


@bundle.command("list", short_help="Show what is in a bundle.")
@_file
@_json
@output_options
@click.pass_context
def list_(ctx: click.Context, file: str, as_json: bool) -> None:
    """Show the names in the bundle FILE (- for standard input), and what it builds on. Only its beginning is read:
    redun bundle verify reads all of it.

    Example: redun bundle list week.bundle
    """
    from redun.cli.history_view import clock
    from redun.store.sync.bundle_reading import opened
    from redun.store.sync.bundles import contents

    with opened(_source(file)) as reader:
        said = contents(reader)
    if as_json:
        plain = {"format": said.format, "store": said.store_id.hex(), "time": said.time}
        write_out(json.dumps({"file": file, **plain, **_named(said.refs, said.needs)}) + "\n")
        return
    write_out(f"made {clock(said.time)} of store {said.store_id.hex()} ({said.format})\n")
    write_out("".join(f"{at.hex()[:8]} {printable(name)}\n" for name, at in said.refs.items()))
    write_out("".join(f"builds on {digest.hex()}\n" for digest in said.needs))


@bundle.command(short_help="Take in what is in a bundle.")
@_file
@click.option(
    "--trust",
    type=click.Choice(("provenance", "cache", "run")),
    default="provenance",
    show_default=True,
    help="What is believed of it: its history; also that its results are right; run means today what cache does.",
)
@_json
@common_options
@click.pass_context
def unbundle(ctx: click.Context, file: str, trust: str, as_json: bool) -> None:
    """Make what is in the bundle FILE (- for standard input) part of the history here. Everything is checked before any
    of it can be seen. Where it is trusted with `cache`, what it computed is a hit here.

    Example: redun bundle unbundle genome.bundle --trust cache
    """
    found = settings(ctx)
    with open_store(found, read_only=False) as store, steps(wanted=not found.quiet) as progress:
        moved = store.sync.unbundle(_source(file), trust=trust, progress=progress)  # type: ignore[arg-type]  # click has checked it
    say(found, moved, "Took in", as_json=as_json)


@bundle.command(short_help="Say whose signatures count.")
@click.option("--add", "added", metavar="FILE", help="The public key in that file counts: id_ed25519.pub.")
@click.option("--remove", "removed", metavar="NAME|KEY", help="That one counts no more.")
@click.option(
    "--required/--optional", default=None, help="Whether bundles without a signature that counts are refused."
)
@_json
@common_options
@click.pass_context
def signers(ctx: click.Context, added: str | None, removed: str | None, required: bool | None, as_json: bool) -> None:
    """Show whose signatures of bundles count in the store here, or change it. A signature is checked wherever there is
    one; with --required a bundle has to have one of these.

    \b
    redun bundle signers --add ada.pub --required
    redun bundle signers --remove ada@laptop
    """
    from redun.store.sync.signing import key_text, read_signers, write_signers

    place = existing_store(settings(ctx))
    known = read_signers(place)
    names = dict(known.names)
    if added is not None:
        key, name = _public_key(added)
        names[key] = name
    if removed is not None:
        gone = [key for key, name in names.items() if removed in (name, key_text(key))]
        if not gone:
            raise NotFound(f"no signature of {removed} counts here", hint="redun bundle signers")
        for key in gone:
            del names[key]
    changed = known._replace(names=names, required=known.required if required is None else required)
    if changed != known:
        write_signers(place, changed)
    shown = {key_text(key): name for key, name in names.items()}
    if as_json:
        write_out(json.dumps({"required": changed.required, "signers": shown}) + "\n")
        return
    write_out("".join(f"{text} {printable(name)}\n" for text, name in shown.items()))
    write_out("required\n" if changed.required else "")


def _public_key(path: str) -> tuple[bytes, str]:
    from redun.store.sync.signing import public_key

    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return public_key(file.readline(1_000))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="ssh-keygen -t ed25519 makes keys") from error


def _signature_text(signed: Signed) -> str:
    from redun.store.sync.signing import key_text

    if not signed.is_checked:
        return "the signature was not checked: pip install 'redun-core[sign]'"
    return f"signed by {signed.name}" if signed.name else f"signed by {key_text(signed.key)}, whom nobody here knows"


def _source(file: str) -> str | BinaryIO:
    return sys.stdin.buffer if file == STREAM else file


def _document(made: Bundle | Verified) -> dict[str, Any]:
    return {"objects": made.objects, "size": made.size, **_named(made.refs, made.needs)}


def _named(refs: Mapping[str, Digest], needs: tuple[Digest, ...]) -> dict[str, Any]:
    return {"refs": {name: at.hex() for name, at in refs.items()}, "needs": [digest.hex() for digest in needs]}
