"""The table of a stored expression, read for people: names and references, no task and no value is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redun.core import codes
from redun.core.codec import FIRST_OPAQUE_CODE, ExtType, unpack
from redun.core.errors import MalformedObject


class Table:
    """An expression as stored: a table of nodes, and a root that refers to them.

    Attributes:
        nodes: [op, name, args, kwargs, options] each, after those that its arguments refer to; op 0 is the call of a
            task, 1 an operation; `name` is text here.
        root: the item that the body returned, with references to nodes in it.
    """

    __slots__ = ("nodes", "root")

    def __init__(self, payload: bytes | memoryview) -> None:
        """Reads an `expr` payload.

        Raises:
            MalformedObject: if it is none, or a node refers to one that does not come before it.
        """
        record = unpack(payload)
        if not isinstance(record, list) or len(record) != 4 or record[0] != 1:
            raise MalformedObject("an expression is [1, names, nodes, root]")
        _, names, rows, self.root = record
        try:
            self.nodes = [_node_row(names, row) for row in rows]
            late = any(n >= number for number, node in enumerate(self.nodes) for n in node_numbers(node[2:4]))
        except (TypeError, ValueError, IndexError) as error:
            raise MalformedObject(f"an expression whose fields do not fit: {error}") from None
        if late or any(number >= len(self.nodes) for number in node_numbers(self.root)):
            raise MalformedObject("an expression refers to a node that does not come before it")

    def calls(self) -> list[int]:
        """Returns the numbers of the nodes that call a task, in table order: a call's children stand in this order."""
        return [number for number, node in enumerate(self.nodes) if node[0] == 0]


def _node_row(names: list[str], row: list[Any]) -> list[Any]:
    op, name, args, kwargs, options = row
    if op not in (0, 1) or type(names[name]) is not str or type(args) is not list:
        raise ValueError(f"a node of kind {op!r}")
    if type(kwargs) is not dict or type(options) is not dict:
        raise ValueError("a node without keyword arguments and options")
    return [op, names[name], args, kwargs, options]


def node_numbers(item: Any) -> Iterator[int]:
    """Yields the numbers of the nodes that an item of an expression refers to, in order, repeated ones too."""
    stack = [item]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is list:
            stack.extend(reversed(item))
        elif kind is dict:
            for key, value in reversed(item.items()):
                stack += (value, key)
        elif kind is ExtType:
            if item.code == codes.NODE:
                yield int.from_bytes(item.data, "big")
            elif item.code < FIRST_OPAQUE_CODE:
                stack.append(unpack(item.data))
