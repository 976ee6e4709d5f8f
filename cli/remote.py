"""`redun remote`: names for other stores."""

from __future__ import annotations

import json

import click

from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.remotes_of import sync_of
from redun.core.forms import printable

_TRUSTS = ("provenance", "cache", "run")


@click.group(short_help="Names for other stores.")
def remote() -> None:
    """Name other stores, to push to and to pull from: on this machine, on any that ssh reaches, or in a bucket.

    \b
    redun remote add origin ada@host:projects/genome --trust cache
    redun remote add team s3://bucket/genome --trust cache
    redun remote add backup /mnt/backup/genome
    """


_trust = click.option(
    "--trust",
    type=click.Choice(_TRUSTS),
    default="provenance",
    show_default=True,
    help="What is believed: its history; also that its results are right; run means today what cache does.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@remote.command(short_help="Name a store.")
@click.argument("name")
@click.argument("url")
@_trust
@_json
@common_options
@click.pass_context
def add(ctx: click.Context, name: str, url: str, trust: str, as_json: bool) -> None:
    """Give the store at URL a NAME: a path, ssh://host/path, host:path as for scp, or a place in a bucket: s3://, gs://
    or az://, then bucket/prefix. origin is the default of push and pull.

    Example: redun remote add origin ada@host:projects/genome --trust cache
    """
    found = settings(ctx)
    with open_store(found, read_only=False) as store:
        made = store.sync.add_remote(name, url, trust=trust)  # type: ignore[arg-type]  # click has checked it
    if as_json:
        write_out(json.dumps(made._asdict()) + "\n")


@remote.command(short_help="Say what is believed of a remote.")
@click.argument("name")
@click.argument("trust", type=click.Choice(_TRUSTS))
@_json
@common_options
@click.pass_context
def trust(ctx: click.Context, name: str, trust: str, as_json: bool) -> None:
    """Say what is believed of what a remote sends: provenance (its history), cache (also that its results are right:
    they are hits here), run (today what cache does).

    Example: redun remote trust origin cache
    """
    with open_store(settings(ctx), read_only=False) as store:
        made = store.sync.set_trust(name, trust)  # type: ignore[arg-type]  # click has checked it
    if as_json:
        write_out(json.dumps(made._asdict()) + "\n")


@remote.command("list", short_help="Show the remotes.")
@_json
@common_options
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Show the remotes: name, URL, and what is believed of each.

    Example: redun remote list
    """
    found = settings(ctx)
    with open_store(found) as store:
        known = sync_of(store, found).remotes().values()
    if as_json:
        write_out(json.dumps([one._asdict() for one in known]) + "\n")
    else:
        write_out("".join(f"{one.name}\t{printable(one.url)} ({one.trust})\n" for one in known))


@remote.command(short_help="Show one remote, and what has come from it.")
@click.argument("name")
@_json
@common_options
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show the URL of a remote, what is believed of it, and where its histories were when it was last asked.

    Example: redun remote show origin
    """
    found = settings(ctx)
    with open_store(found) as store:
        one = sync_of(store, found).find(name)
        refs = {ref: at.hex() for ref, at in store.refs(f"remotes/{one.name}/").items()}
    if as_json:
        write_out(json.dumps({**one._asdict(), "refs": refs}) + "\n")
        return
    write_out(f"{one.name}\nURL: {printable(one.url)}\ntrust: {one.trust}\n")
    write_out("".join(f"{at[:8]} {printable(ref)}\n" for ref, at in refs.items()))


@remote.command(short_help="Forget a remote.")
@click.argument("name")
@_json
@common_options
@click.pass_context
def remove(ctx: click.Context, name: str, as_json: bool) -> None:
    """Forget a remote. What was pulled from it stays.

    Example: redun remote remove backup
    """
    with open_store(settings(ctx), read_only=False) as store:
        store.sync.remove_remote(name)
    if as_json:
        write_out(json.dumps({"removed": name}) + "\n")
