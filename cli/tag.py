"""`redun tag`: what people say of executions, jobs, calls, tasks and values."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click

from redun.cli.colors import Paint
from redun.cli.context import common_options, open_store, settings, write_out
from redun.cli.exits import OK, USAGE, UsageError
from redun.cli.history_view import SHORT, clock
from redun.cli.pager import write_lines
from redun.cli.tag_options import read_pair, read_tag_option
from redun.core.errors import NotFound
from redun.core.forms import printable
from redun.core.tags import shown_tag, tag_value

# Our store floor is imported inside functions: help loads no store.
if TYPE_CHECKING:
    from redun.store import Store
    from redun.store.tags import Tag, Thing

_WORDS: Final = {"exec": "execution", "job": "job", "task": "task", "object": "object"}
_KINDS: Final = {"exec": "Exec", "call": "CallNode", "expr": "Expression"}


@click.group(
    short_help="Tag executions, jobs, tasks, calls and values.",
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.pass_context
def tag(ctx: click.Context) -> int | None:
    """Tag executions, jobs, tasks, calls, values and any other object.

    A tag is NAME=VALUE. A value that reads as JSON is that, other text is itself: env=prod, count=3, l=[1,2]. A name
    may have several values. `redun run -t NAME=VALUE` tags an execution from its start; `redun log --tag` and
    `redun prune --keep-tag` choose by tags. A tag keeps nothing: it goes with what it is about (see redun pin).

    \b
    redun tag add - state=final              the latest execution
    redun tag add greeter owner=ada          a task, whatever its code
    redun tag list -                         its tags, who gave them and when
    redun tag list state=final               what is tagged so
    redun tag rm - state
    """
    if ctx.invoked_subcommand is not None:
        return None
    click.echo(ctx.get_help(), err=True)
    return USAGE


def _author() -> str:
    from getpass import getuser

    with suppress(KeyError, OSError):
        return getuser()
    return ""


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@tag.command(short_help="Give something tags.")
@_json
@common_options
@click.argument("name", metavar="ID")
@click.argument("tags", metavar="NAME=VALUE...", nargs=-1, required=True)
@click.pass_context
def add(ctx: click.Context, name: str, tags: tuple[str, ...], as_json: bool) -> int:
    """Give what ID names tags, besides those that it has.

    ID is the start (4 characters or more) of any id, `-` (the latest execution), `~1`, or the name of a task, which
    stands for all of its versions.

    Example: redun tag add - state=final
    """
    return _add(ctx, name, tags, as_json=as_json, replace=False)


@tag.command(short_help="Give something tags in the place of others.")
@_json
@common_options
@click.argument("name", metavar="ID")
@click.argument("tags", metavar="NAME=VALUE...", nargs=-1, required=True)
@click.pass_context
def update(ctx: click.Context, name: str, tags: tuple[str, ...], as_json: bool) -> int:
    """Give what ID names tags, and take from it the other values of these names.

    Example: redun tag update - state=published
    """
    return _add(ctx, name, tags, as_json=as_json, replace=True)


def _add(ctx: click.Context, name: str, texts: tuple[str, ...], *, as_json: bool, replace: bool) -> int:
    pairs = [read_pair(text) for text in texts]
    return _change(
        ctx, name, lambda store, thing: store.add_tags(thing, pairs, author=_author(), replace=replace), as_json=as_json
    )


@tag.command("rm", short_help="Take tags away.")
@_json
@common_options
@click.argument("name", metavar="ID")
@click.argument("tags", metavar="NAME[=VALUE]...", nargs=-1, required=True)
@click.pass_context
def remove(ctx: click.Context, name: str, tags: tuple[str, ...], as_json: bool) -> int:
    """Take tags from what ID names: all values of a NAME, or one. Also those that an execution was run with.

    Example: redun tag rm - state
    """
    pairs = [read_tag_option(text) for text in tags]

    def take(store: Store, thing: Thing) -> list[Tag]:
        taken = [gone for pair in pairs for gone in store.remove_tags(thing, *pair, author=_author())]
        if not taken:
            raise NotFound(f"{name} has no such tag", hint=f"redun tag list {name} shows what it has")
        return taken

    return _change(ctx, name, take, as_json=as_json)


def _change(ctx: click.Context, name: str, change: Callable[[Store, Thing], list[Tag]], *, as_json: bool) -> int:
    from redun.store.lookup_names import find, thing_of

    found = settings(ctx)
    with open_store(found, read_only=False) as store:
        thing = thing_of(store, find(store, name))
        changed = change(store, thing)
        left = store.tags(thing)
        if as_json:
            _write_json({**thing_document(store, thing), "changed": _documents(changed), "tags": _documents(left)})
        elif not found.quiet:
            texts = ", ".join(shown(tag.name, tag.value) for tag in left) or "no tags"
            write_out(f"{thing_text(store, thing, found.paint(sys.stdout))}: {texts}\n")
    return OK


# -- listing ----------------------------------------------------------------------------------------------------------


@tag.command("list", short_help="Show tags, and what is tagged.")
@click.option("--values", is_flag=True, help="Without ID: each value of a name by itself.")
@_json
@common_options
@click.argument("name", metavar="[ID | NAME=VALUE | NAME]", required=False)
@click.pass_context
def list_(ctx: click.Context, name: str | None, values: bool, as_json: bool) -> int:
    """Show the tags of what ID names, or what has a tag; without either, all tags and how many things have them.

    Example: redun tag list -
    """
    found = settings(ctx)
    if values and name is not None:
        raise UsageError("--values goes with the list of all tags", hint="leave the name out")
    with open_store(found) as store:
        thing = None if name is None else _thing(store, name)
        if thing is not None:
            tags = store.tags(thing)
            if as_json:
                _write_json({**thing_document(store, thing), "tags": _documents(tags)})
            else:
                write_lines(_tag_lines(store, thing, tags, found.paint(sys.stdout)), found)
        elif name is not None:
            things = list(_things(store, *read_tag_option(name)))
            if as_json:
                _write_json([{**thing_document(store, thing), **_document(tag)} for thing, tag in things])
            else:
                paint = found.paint(sys.stdout)
                lines = (f"{thing_text(store, thing, paint)}: {shown(tag.name, tag.value)}" for thing, tag in things)
                write_lines(lines if things else iter(["Nothing is tagged so."]), found)
        else:
            _list_all(store, ctx, values=values, as_json=as_json)
    return OK


def _thing(store: Store, name: str) -> Thing | None:
    """What a name means; None where it is a tag."""
    from redun.store.lookup_names import find, thing_of

    if "=" in name:
        return None
    try:
        return thing_of(store, find(store, name))
    except NotFound:
        if next(_things(store, name, None), None) is None:
            raise
        return None


def _things(store: Store, name: str | None, value: str | None) -> Iterator[tuple[Thing, Tag]]:
    """What is tagged so, executions first, newest first."""
    from redun.store.lookup_names import runs
    from redun.store.tags import Tag, of_execution

    for run in runs(store):
        for own, text in run.tags:
            if name in (None, own) and value in (None, text):
                yield of_execution(run.uuid), Tag(own, text)
    yield from ((thing, tag) for thing, tag in store.tagged(name, value) if thing.kind != "exec")


def _list_all(store: Store, ctx: click.Context, *, values: bool, as_json: bool) -> None:
    counted: dict[tuple[str, str | None], Counter[str]] = {}
    for thing, tag in _things(store, None, None):
        counted.setdefault((tag.name, tag.value if values else None), Counter())[thing.kind] += 1
    if as_json:
        rows = [
            {"name": name, **({} if value is None else {"value": tag_value(value)}), "things": dict(kinds)}
            for (name, value), kinds in sorted(counted.items())
        ]
        _write_json(rows)
        return
    lines = []
    for (name, value), kinds in sorted(counted.items()):
        things = ", ".join(f"{count:,} {_WORDS[kind]}{'s' if count > 1 else ''}" for kind, count in kinds.items())
        lines.append(f"{printable(name) if value is None else shown(name, value)}  ({things})")
    write_lines(iter(lines or ["No tags yet: redun tag add ID NAME=VALUE gives the first."]), settings(ctx))


def _tag_lines(store: Store, thing: Thing, tags: list[Tag], paint: Paint) -> Iterator[str]:
    yield thing_text(store, thing, paint)
    if not tags:
        yield "  no tags"
    width = max((len(shown(tag.name, tag.value)) for tag in tags), default=0)
    for tag in tags:
        by = f" by {printable(tag.author)}" if tag.author else ""
        when = f"  {clock(tag.time)}{by}" if tag.time else ""
        yield f"  {shown(tag.name, tag.value):<{width}}{when}"


# -- things as text ---------------------------------------------------------------------------------------------------


def shown(name: str, value: str) -> str:
    """Returns a tag as text that is safe to print."""
    return printable(shown_tag(name, value))


def thing_text(store: Store, thing: Thing, paint: Paint) -> str:
    """Returns `Exec 5ede15ae`, `Value 58dc3a20` and the like."""
    kind, name = _named(store, thing)
    word = _KINDS.get(kind, kind.capitalize())
    return f"{printable(word)} {printable(name) if thing.kind == 'task' else paint(name[:SHORT], 'id')}"


def thing_document(store: Store, thing: Thing) -> dict[str, Any]:
    """Returns the kind and the id of a thing; of a task by its name, that."""
    kind, name = _named(store, thing)
    return {"kind": kind, "fullname" if thing.kind == "task" else "id": name}


def _named(store: Store, thing: Thing) -> tuple[str, str]:
    from uuid import UUID

    from redun.core.objects import job_id

    if thing.about is not None:
        found = store.resolve(thing.about.hex(), 1)
        return found[0][0] if found else "object", thing.about.hex()
    if thing.kind == "exec":
        return "exec", str(UUID(thing.name))
    if thing.kind == "job":
        uuid, _, number = thing.name.partition(" ")
        return "job", job_id(store.format.hash, bytes.fromhex(uuid), int(number)).hex()
    return thing.kind, thing.name


def _documents(tags: Iterable[Tag]) -> list[dict[str, Any]]:
    return [_document(tag) for tag in tags]


def _document(tag: Tag) -> dict[str, Any]:
    said = {"name": tag.name, "value": tag_value(tag.value)}
    return {**said, "author": tag.author, "time": tag.time / 1_000_000} if tag.time else said


def _write_json(document: Any) -> None:
    import json

    write_out(json.dumps(document) + "\n")
