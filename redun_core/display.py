"""Stored values and expressions as text, without making them.

Nothing here imports user code or makes an instance of a stored class, and no payload makes it fail or work without
bound: what is malformed is shown as such. One line (`show`, `show_expr`) reads like Python's `repr`; several lines
(`pretty`, `pretty_expr`) are for looking at one object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from redun.core import array_forms, codes, table_forms
from redun.core.codec import ExtType, Pointer, unpack
from redun.core.digest import Digest
from redun.core.errors import MalformedObject, RedunError
from redun.core.expression_table import Table, node_numbers
from redun.core.forms import (
    STRUCTURED,
    DictKey,
    Form,
    Part,
    arguments,
    base_name,
    items_of,
    keyed,
    leaf,
    named,
    opaque,
    operation,
    printable,
    short_id,
)
from redun.core.objects import TreeRecord

assert array_forms, "it says how arrays are written"
assert table_forms, "as above, of tables"

Fetch = Callable[[Digest], tuple[str, bytes]]
"""How to read another object: (kind, payload) of an id."""

Paint = Callable[[str, str], str]
"""How to colour text: (text, style) to what is printed. The styles are text, number, word, name and id."""

#: Characters of one line where the caller names no other limit.
LINE: Final = 200
#: Columns that `pretty` tries to stay in, and the characters after which it stops.
WIDTH: Final = 100
PAGE: Final = 1_000_000
#: Objects read for one line: each is up to 1 MiB.
_FETCHES: Final = 8
_UNFIT: Final = (
    MalformedObject,
    TypeError,
    ValueError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
)
_SEGMENT_BRACKETS: Final = {
    "list": ("[", "]"),
    "tuple": ("(", ")"),
    "set": ("{", "}"),
    "frozenset": ("frozenset({", "})"),
    "dict": ("{", "}"),
}


def show(
    payload: bytes | memoryview,
    fetch: Fetch | None = None,
    *,
    limit: int = LINE,
    paint: Paint | None = None,
) -> str:
    """Returns a value's payload as one line like Python's `repr`, of at most `limit` characters.

    Parts that are objects of their own are read through `fetch`, at most a few; without it their ids are shown.
    """
    try:
        item = unpack(payload)
    except MalformedObject:
        return "<malformed value>"
    return _line(item, _Reader(fetch), limit, paint)


def show_arguments(
    bound: Iterable[tuple[str, int, bytes | None]], fetch: Fetch | None = None, *, limit: int = LINE
) -> str:
    """Returns bound arguments as `name=value, ...`, of at most `limit` characters.

    Each is (name, kind as in `inspect.Parameter.kind`, payload or None where it is missing). What `*args` gathered is
    written without names, what `**kwargs` gathered under the names that were given.
    """
    parts: list[Part] = []
    for name, kind, payload in bound:
        try:
            item = _MISSING if payload is None else unpack(payload)
            parts += _spread(name, kind, item)
        except _UNFIT:
            parts.append((f"{printable(name)}=", Form("<malformed value>")))
    return _line(Form("", parts), _Reader(fetch), limit, None)


_MISSING: Final = Form("<missing>", style="id")


def _spread(name: str, kind: int, item: Any) -> Iterable[Part]:
    if kind == _VAR_KEYWORD and type(item) is dict:
        return named(item.items())
    if kind == _VAR_POSITIONAL and type(item) is ExtType and item.code == codes.TUPLE:
        return items_of(unpack(item.data))
    return named([(name, item)])


_VAR_POSITIONAL: Final = 2
_VAR_KEYWORD: Final = 4


def show_expr(payload: bytes | memoryview, *, limit: int = LINE, paint: Paint | None = None) -> str:
    """Returns an expression's payload as one line of calls, of at most `limit` characters."""
    try:
        table = _checked_table(payload)
    except MalformedObject:
        return "<malformed expression>"
    return _line(table.root, _Reader(None, table), limit, paint)


def pretty(payload: bytes | memoryview, *, paint: Paint | None = None, width: int = WIDTH) -> str:
    """Returns a value's payload over as many lines as it needs; parts that are objects of their own show their ids."""
    try:
        item = unpack(payload)
    except MalformedObject:
        return "<malformed value>"
    return "\n".join(_lines("", item, _Reader(), paint, width))


def pretty_expr(payload: bytes | memoryview, *, paint: Paint | None = None, width: int = WIDTH) -> str:
    """Returns an expression's payload over several lines; a node used more than once is written once, as `_4 = ...`."""
    try:
        table = _checked_table(payload)
    except MalformedObject:
        return "<malformed expression>"
    shared = _shared_nodes(table)
    reader = _Reader(None, table, shared)
    lines: list[str] = []
    for number in sorted(shared):
        lines += _lines(f"_{number} = ", _Node(number), reader, paint, width)
    lines += _lines("", table.root, reader, paint, width)
    return "\n".join(lines)


def _checked_table(payload: bytes | memoryview) -> Table:
    table = Table(payload)
    for _ in table.nodes():  # reading a node checks it
        pass
    return table


def _shared_nodes(table: Table) -> frozenset[int]:
    seen: set[int] = set()
    again: set[int] = set()
    for item in (*(list(node[2:]) for node in table.nodes()), table.root):
        for number in node_numbers(item):
            (again if number in seen else seen).add(number)
    return frozenset(again)


class _Node:
    """Marks a node that is to be written itself, where a reference to it would show its number."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


# -- reading items ----------------------------------------------------------------------------------------------------


class _Reader:
    """Gives the form of the items of one payload; `named` nodes of its expression are shown by their number."""

    def __init__(
        self,
        fetch: Fetch | None = None,
        table: Table | None = None,
        named: frozenset[int] = frozenset(),
    ) -> None:
        self._fetch = fetch
        self._fetches = _FETCHES
        self._table = table
        self._named = named

    def form(self, item: Any, limit: int | None = None) -> Form:
        """Returns the form of an item, its leaf cut to `limit`; what makes no sense is `<malformed value>`."""
        try:
            return self._form(item, limit)
        except _UNFIT:
            return Form("<malformed value>", style="name")

    def _form(self, item: Any, limit: int | None) -> Form:
        kind = type(item)
        if kind is Form:
            return item  # type: ignore[no-any-return]  # the type was just tested
        if kind is _Node:
            return self._node(item.number)
        found = leaf(item, limit)
        if found is not None:
            return found
        if kind is list:
            return Form("[", items_of(item), "]")
        if kind is dict:
            return Form("{", keyed(item.items()), "}")
        return self._pointed(item, limit) if kind is Pointer else self._extension(item.code, item.data, limit)

    def _extension(self, code: int, data: bytes, limit: int | None) -> Form:
        if code == codes.NODE:
            number = int.from_bytes(data, "big")
            return Form(f"_{number}", style="id") if number in self._named else self._node(number)
        if code == codes.SEGMENTED:
            return self._segmented(*unpack(data))
        writer = STRUCTURED.get(code)
        return opaque(code, data, limit) if writer is None else writer(unpack(data))

    def _node(self, number: int) -> Form:
        if self._table is None:
            return Form(f"_{number}", style="id")
        op, name, args, kwargs, options = self._table.node(number)
        if op == 1:
            return operation(name, args)
        parts = list(arguments(args, kwargs))
        if not options:
            return Form(f"{base_name(name)}(", parts, ")")
        chosen = Form(f"{base_name(name)}.options(", list(arguments([], options)), ")")
        return Form("", items_of([chosen, Form("(", parts, ")")]), "", sep="")

    # -- parts that are objects of their own ---------------------------------------------------------------------------

    def _read(self, digest: Digest, kind: str) -> bytes | None:
        if self._fetch is None or self._fetches == 0:
            return None
        self._fetches -= 1
        try:
            found, payload = self._fetch(digest)
        except RedunError:
            return None
        return payload if found == kind else None

    def _pointed(self, pointer: Pointer, limit: int | None) -> Form:
        payload = self._read(pointer.digest, "value")
        if payload is None:
            return Form(f"<value {short_id(pointer)}>", style="id")
        return self._form(unpack(payload), limit)

    def _segmented(self, name: str, pointer: Pointer, count: int) -> Form:
        first = self._first_segment(pointer.digest)
        if first is None:
            return Form(
                f"<{printable(name)} of {count:,} items {short_id(pointer)}>",
                style="id",
            )
        opening, closing = _SEGMENT_BRACKETS[name]
        shown = len(first)
        parts: Iterator[Part] = items_of(first)
        if name == "dict":
            shown //= 2
            parts = keyed(zip(first[::2], first[1::2], strict=True))
        rest = [("", Form(f"... {count - shown:,} more", style="id"))] if count > shown else []
        return Form(opening, [*parts, *rest], closing)

    def _first_segment(self, digest: Digest) -> list[Any] | None:
        level = 1
        while level:
            payload = self._read(digest, "tree")
            if payload is None:
                return None
            tree = TreeRecord.parse(payload)
            level, digest = tree.level, tree.children[0]
        payload = self._read(digest, "value")
        items = None if payload is None else unpack(payload)
        return items if isinstance(items, list) else None


# -- writing ----------------------------------------------------------------------------------------------------------


class _Pending:
    """A form whose parts are being written."""

    __slots__ = ("first", "form", "parts")

    def __init__(self, form: Form) -> None:
        self.form = form
        self.parts = iter(form.parts or ())
        self.first = True


def _pieces(item: Any, reader: _Reader, limit: int) -> Iterator[tuple[str, str]]:
    """Yields (text, style) of one line, from left to right, without recursion: values are nested up to 500 deep."""
    stack: list[Any] = [("", item)]
    while stack:
        top = stack[-1]
        if type(top) is _Pending:
            part = next(top.parts, None)
            if part is None:
                yield stack.pop().form.close, ""
                continue
            if not top.first:
                yield top.form.sep, ""
            top.first = False
            label, item = part
            if type(label) is DictKey:
                stack += [(": ", item), ("", label.item)]
            else:
                stack.append((label, item))
            continue
        label, item = stack.pop()
        if label:
            yield label, ""
        form = reader.form(item, limit)
        yield form.opening, form.style
        if form.parts is not None:
            stack.append(_Pending(form))


def _line(item: Any, reader: _Reader, limit: int, paint: Paint | None) -> str:
    pieces: list[tuple[str, str]] = []
    room = limit
    try:
        for text, style in _pieces(item, reader, limit):
            pieces.append((text, style))
            room -= len(text)
            if room < 0:
                pieces = _cut(pieces, limit)
                break
    except _UNFIT:
        return "<malformed value>"
    return "".join(text if paint is None or not style else paint(text, style) for text, style in pieces)


def _cut(pieces: list[tuple[str, str]], limit: int) -> list[tuple[str, str]]:
    room = max(limit - 3, 0)
    kept = []
    for text, style in pieces:
        kept.append((text[:room], style))
        room -= len(kept[-1][0])
    return [*kept, ("...", "")]


def _lines(label: str, item: Any, reader: _Reader, paint: Paint | None, width: int) -> list[str]:
    """The lines of an item: what fits stays on one line, anything else is opened, one part a line."""
    lines: list[str] = []
    size = 0
    stack: list[tuple[int, str, Any, str]] = [(0, label, item, "")]
    while stack and size <= PAGE:
        depth, label, item, after = stack.pop()
        head = f"{'  ' * depth}{label}"
        form = reader.form(item)
        if form.parts is None:
            line = form.opening if paint is None or not form.style else paint(form.opening, form.style)
            lines.append(head + line + after)
        else:
            whole = None if form.block else _whole(item, reader, width - len(head) - len(after), paint)
            lines.append(head + (form.opening if whole is None else whole + after))
            if form.block:
                lines[-1] = f"{head}{form.opening.rstrip()}"
                lines += [f"{'  ' * (depth + 1)}{line}" for line in form.block]
                lines.append(f"{'  ' * depth}{form.close}{after}")
            elif whole is None:
                stack.append((depth, "", Form(form.close.lstrip(",")), after))
                stack += reversed(_opened(form, depth + 1, reader))
        size += len(lines[-1])
    return [*lines, "..."] if stack else lines


def _opened(form: Form, depth: int, reader: _Reader) -> list[tuple[int, str, Any, str]]:
    opened: list[tuple[int, str, Any, str]] = []
    for label, item in form.parts or ():
        text = _line(label.item, reader, LINE, None) + ": " if type(label) is DictKey else label
        opened.append((depth, text, item, form.sep.rstrip()))
    if opened and form.sep != ", ":
        opened[-1] = (*opened[-1][:3], "")
    return opened


def _whole(item: Any, reader: _Reader, room: int, paint: Paint | None) -> str | None:
    """The item on one line, or None where it does not fit."""
    plain = _line(item, reader, max(room + 1, 1), None)
    if len(plain) > room:
        return None
    return plain if paint is None else _line(item, reader, room + 1, paint)
