"""Where one item of a call's reduction came from: a call in it, several of them, or an argument handed on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from redun.core import codes
from redun.core.codec import FIRST_OPAQUE_CODE, ExtType, Pointer, pack, unpack
from redun.core.digest import Digest
from redun.core.expression_table import Table, node_numbers
from redun.core.frame import object_id
from redun.core.objects import CallRecord
from redun.store.call_graph import Argument, CallGraph

#: Items looked at for one that was taken out of an argument.
_SEARCHED: Final = 20_000
#: Parts of one item that are compared with arguments.
_COMPARED: Final = 1000

_VAR_POSITIONAL: Final = 2
_VAR_KEYWORD: Final = 4


class _Default:
    """Stands for an argument that the call left to its default."""


DEFAULT: Final = _Default()


class Origin(NamedTuple):
    """Where an item came from. Nothing set: it begins in the code of the call.

    Attributes:
        node: the call (by its node) that gave it as it is.
        argument: the argument (by its index) that was handed on, whole or (`part`) something inside it.
        nodes, arguments: the calls and arguments that it was made of.
    """

    node: int | None = None
    argument: int | None = None
    part: bool = False
    nodes: tuple[int, ...] = ()
    arguments: tuple[int, ...] = ()


def argument_item(node: Sequence[Any], arguments: Sequence[Argument], index: int) -> Any:
    """Returns the item that a call's node gives for a parameter, or DEFAULT where it gives none."""
    _, _, args, kwargs, _ = node
    position = 0
    named = dict(kwargs)
    for number, (name, kind, _) in enumerate(arguments):
        if kind == _VAR_POSITIONAL:
            item: Any = args[position:]
            position = len(args)
        elif kind == _VAR_KEYWORD:
            item = named
        elif kind < _VAR_POSITIONAL and position < len(args):
            item = args[position]
            position += 1
        else:
            item = named.pop(name, DEFAULT)
        if number == index:
            return item
    return DEFAULT


def origin_of(
    graph: CallGraph, call: CallRecord, table: Table, item: Any, value: Digest | None, *, prefer: str = ""
) -> Origin:
    """Returns where an item of a call's reduction came from.

    `value` is the id of what it became. Of several equal arguments the one named `prefer` is taken to be handed on.
    """
    if type(item) is ExtType and item.code == codes.NODE:
        number = int.from_bytes(item.data, "big")
        if table.node(number)[0] == 0:
            return Origin(node=number)
    nodes, literals = _ingredients(table, item)
    given = graph.arguments(call)
    if not nodes:
        handed = _handed_on(given, value, prefer)
        if handed is not None:
            return Origin(argument=handed)
        inside = _inside_of(graph, given, item)
        if inside is not None:
            return Origin(argument=inside, part=True)
    ids = {object_id(graph.store.format, "value", pack(literal)) for literal in literals}
    used = tuple(index for index, argument in enumerate(given) if argument.value in ids)
    return Origin(nodes=nodes, arguments=used)


def _handed_on(given: Sequence[Argument], value: Digest | None, prefer: str) -> int | None:
    equal = [index for index, argument in enumerate(given) if argument.value == value]
    named = [index for index in equal if given[index].name == prefer]
    return next(iter(named or equal), None)


def _ingredients(table: Table, item: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The calls that an item was made of, through operations and containers, and the literal parts beside them."""
    nodes: dict[int, None] = {}
    literals: list[Any] = []
    operations: set[int] = set()
    stack = [item]
    while stack:
        part = stack.pop()
        if type(part) is ExtType and part.code == codes.NODE:
            number = int.from_bytes(part.data, "big")
            op, _, args, kwargs, _ = table.node(number)
            if op == 0:
                nodes[number] = None
            elif number not in operations:
                operations.add(number)
                stack += [*reversed(kwargs.values()), *reversed(args)]
            continue
        is_leaf = part is not item or type(part) not in (list, dict, ExtType)
        if is_leaf and len(literals) < _COMPARED and _is_telling(part):
            literals.append(part)
        if part is item or any(True for _ in node_numbers(part)):
            stack += reversed(list(_members(part)))
    return tuple(nodes), literals


def _is_telling(item: Any) -> bool:
    """Whether equality with an argument means something: numbers, flags and empty things are equal by chance."""
    if type(item) in (str, bytes, list, dict):
        return len(item) > 0
    return type(item) in (ExtType, Pointer)


def _members(item: Any) -> Iterator[Any]:
    kind = type(item)
    if kind is list:
        yield from item
    elif kind is dict:
        for key, value in item.items():
            yield from (key, value)
    elif kind is ExtType and item.code < FIRST_OPAQUE_CODE:
        yield from unpack(item.data)


def _inside_of(graph: CallGraph, given: Sequence[Argument], item: Any) -> int | None:
    """The first argument that holds an item somewhere inside."""
    if item is None or type(item) is bool or item == "" or item == b"":
        return None
    wanted = pack(item)
    for index, argument in enumerate(given):
        payload = graph.payload(argument.value, "value")
        if payload is None or wanted not in payload:  # a quick no: most arguments do not even have its bytes
            continue
        stack = list(_members(unpack(payload)))
        for _ in range(_SEARCHED):
            if not stack:
                break
            part = stack.pop()
            if type(part) is type(item) and part == item and pack(part) == wanted:
                return index
            stack.extend(_members(part))
    return None
