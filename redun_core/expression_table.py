"""The table of a stored expression, read for people: names and references, no task and no value is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redun.core import codes
from redun.core.codec import FIRST_OPAQUE_CODE, ExtType, unpack
from redun.core.errors import MalformedObject


class Table:
    """An expression as stored: a table of nodes, and a root that refers to them.

    A table may have 100,000 nodes of which one is asked for, so each is checked when it is read.

    Attributes:
        root: the item that the body returned, with references to nodes in it.
    """

    __slots__ = ("_names", "_rows", "root")

    def __init__(self, payload: bytes | memoryview) -> None:
        """Reads an `expr` payload.

        Raises:
            MalformedObject: if it is none.
        """
        record = unpack(payload)
        if not isinstance(record, list) or len(record) != 4 or record[0] != 1:
            raise MalformedObject("an expression is [1, names, nodes, root]")
        _, self._names, self._rows, self.root = record
        if not isinstance(self._names, list) or not isinstance(self._rows, list):
            raise MalformedObject("an expression has a list of names and a list of nodes")
        if any(number >= len(self._rows) for number in node_numbers(self.root)):
            raise MalformedObject("an expression refers to a node that it does not have")

    def __len__(self) -> int:
        return len(self._rows)

    def node(self, number: int) -> tuple[int, str, list[Any], dict[str, Any], dict[str, Any]]:
        """Returns (op, name, args, kwargs, options) of a node: op 0 calls the task `name`, 1 is the operation
        `name`, 2 calls the scheduler task `name`.

        Raises:
            MalformedObject: if it makes no sense, or refers to a node that does not come before it.
        """
        try:
            op, index, args, kwargs, options = self._rows[number]
            name = self._names[index]
            if type(name) is list:  # a task pinned to a fingerprint: [name, pointer]
                name = name[0]
            fits = (
                op in (0, 1, 2)
                and type(name) is str
                and (type(args), type(kwargs), type(options)) == (list, dict, dict)
            )
        except (TypeError, ValueError, IndexError) as error:
            raise MalformedObject(f"node {number} of an expression makes no sense: {error}") from None
        if not fits or any(other >= number for other in node_numbers([args, kwargs])):
            raise MalformedObject(f"node {number} of an expression makes no sense")
        return op, name, args, kwargs, options

    def nodes(self) -> Iterator[tuple[int, str, list[Any], dict[str, Any], dict[str, Any]]]:
        """Yields every node, as `node` returns it.

        Raises:
            MalformedObject: as `node`.
        """
        return (self.node(number) for number in range(len(self._rows)))

    def calls(self) -> list[int]:
        """Returns the numbers of the nodes that call a task, in table order: a call's children stand in this order."""
        return [number for number, row in enumerate(self._rows) if isinstance(row, list) and row[:1] == [0]]


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
