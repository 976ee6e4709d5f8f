"""Reductions: what a task's body returned, as bytes and as the flat table that the evaluator works on.

A body returns a value or something that holds expressions. The second becomes an `expr` object:

    [schema, names, nodes, root]

`nodes` are in post-order: what a node's arguments need stands before it, each shared expression once, so a table has no
ring and its order is that in which its calls are evaluated. Arguments refer to earlier nodes by their number. No step
recurses, however long a chain of calls is.

`names` holds each task or operation name once. An expression holds task *names*, never their code: that is what makes a
change of code visible when a recorded reduction is replayed. Only a task that came to be while a body ran (a factory's)
is *pinned*: its name stands with its fingerprint, `[name, pointer]`, because another body may give that name to other
code.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgpack

from redun.core import codes, limits
from redun.core.codec import FIRST_OPAQUE_CODE, ExtType, Pointer, pack, pointer_bytes, unpack
from redun.core.decoding import Decoder
from redun.core.digest import Digest
from redun.core.errors import CannotDecode, CannotEncode, CodecError, MalformedObject
from redun.core.expressions import Expression, Operand, Operation, SchedulerCall, TaskCall, node_ext
from redun.core.parameters import POSITIONAL, POSITIONAL_ONLY
from redun.core.tasks import Task
from redun.core.values import PLAIN, Encoded, Encoder, External, Packer

CALL: Final = 0
OPERATION: Final = 1
CONTROL: Final = 2
#: Only in tables that a scheduler task makes while it runs, and that are not stored: a place in the table around it.
OUTER: Final = 3

#: An argument of a node: the number of another node, or bytes (which may refer to nodes).
Arg = int | Encoded


class Node:
    """One expression of a table.

    Attributes:
        op: CALL, OPERATION, CONTROL (a call of a scheduler task) or OUTER.
        name: full name of the task, or name of the operation.
        task: the task itself where the expression was made in this process.
        args, kwargs: arguments as they were written.
        options: options given at the call.
        lazy_options: those of them that hold expressions, which the job waits for.
        pinned: fingerprint that the task of that name must have.
        operand: where OUTER stands.
    """

    __slots__ = ("args", "kwargs", "lazy_options", "name", "op", "operand", "options", "pinned", "task")

    def __init__(
        self,
        op: int,
        name: str,
        args: list[Arg],
        kwargs: dict[str, Arg],
        options: dict[str, Any] | None = None,
        task: Task[..., Any] | None = None,
    ) -> None:
        self.op = op
        self.name = name
        self.args = args
        self.kwargs = kwargs
        self.options = options
        self.task = task
        self.pinned: Digest | None = None
        self.operand: Operand | None = None
        self.lazy_options: dict[str, Arg] | None = None

    def inputs(self) -> list[int]:
        """Returns the numbers of the nodes that it refers to, in order."""
        lazy = self.lazy_options
        return needs([*self.args, *self.kwargs.values(), *(lazy.values() if lazy else ())])


class Reduction:
    """What a body returned: a plain value (`nodes` is empty) or a table of expressions and a root that refers to it.

    Attributes:
        root: the value, or what the value will be once its nodes are known.
        nodes: the table.
        controls: whether scheduler tasks are among them, so that not all nodes may be wanted.
        payload: bytes of the `expr` object; empty for a plain value.
        externals: values in it that stand for something outside.
        code: classes, functions and tasks that it refers to by value.
        digest: id of the `expr` object, once it was put.
    """

    __slots__ = ("code", "controls", "digest", "externals", "nodes", "payload", "root")

    def __init__(self, root: Arg, nodes: list[Node], payload: bytes, controls: bool = False) -> None:
        self.root = root
        self.nodes = nodes
        self.controls = controls
        self.payload = payload
        self.digest: Digest | None = None
        self.externals: tuple[External, ...] = ()
        self.code: tuple[Any, ...] = ()


Pin = Callable[[Task[..., Any]], Digest | None]


def reduce(encoder: Encoder, obj: Any, pin: Pin | None = None, numbered: list[Expression] | None = None) -> Reduction:
    """Returns the reduction that a body's return value is.

    Args:
        pin: gives the fingerprint of a task that its name alone does not tell, None for all others.
        numbered: takes the expressions in the order of the table.

    Raises:
        CannotEncode, ValueTooDeep: if something in it has no deterministic encoding.
    """
    if type(obj) in PLAIN:
        return Reduction(encoder.encode(obj), [], b"")
    table = _Table(encoder, pin)
    encoder.place = table.place
    try:
        reduction = table.build(obj)
    finally:
        encoder.place = None
    if numbered is not None:
        numbered += table.waiting
    return reduction


def quoted(encoder: Encoder, obj: Any) -> Reduction:
    """Returns the reduction of a value that is kept as it is written; its payload is always there.

    Raises:
        CannotEncode, ValueTooDeep: as `reduce`.
    """
    table = _Table(encoder, None)
    table.whole = True
    encoder.place = table.place
    try:
        return table.build(obj)
    finally:
        encoder.place = None


class _Table:
    """Builds the table of one reduction."""

    def __init__(self, encoder: Encoder, pin: Pin | None) -> None:
        self.encoder = encoder
        self.pin = pin
        self.places: dict[int, int] = {}
        self.waiting: list[Expression] = []
        self.names: dict[tuple[str, Digest | None], int] = {}
        self.externals: list[External] = []
        self.code: list[Any] = []
        self.controls = False
        #: What values without expressions became, by their `id`: a task may be an argument of many calls, and
        #: a second pass writes all of them again.
        self.known: dict[int, tuple[Encoded, bytes]] = {}
        #: Whether the payload is wanted even where there is no expression.
        self.whole = False

    def place(self, expression: Expression) -> int:
        """Returns the number of an expression, giving it the next one when it is new."""
        number = self.places.setdefault(id(expression), len(self.waiting))
        if number == len(self.waiting):
            self.waiting.append(expression)
        return number

    def build(self, obj: Any) -> Reduction:
        """Encodes breadth first, numbering expressions as they are met. Where that is not post-order already (some call
        is an argument of another), the order is now known, and a second pass writes it."""
        reduction = self.write(obj)
        order = _post_order(reduction.root, reduction.nodes)
        if order == list(range(len(order))):
            return reduction
        again = _Table(self.encoder, self.pin)
        again.whole, again.known = self.whole, self.known
        again.waiting = [self.waiting[number] for number in order]
        again.places = {id(expression): number for number, expression in enumerate(again.waiting)}
        self.waiting = again.waiting
        self.encoder.place = again.place
        return again.write(obj)

    def write(self, obj: Any) -> Reduction:
        before = self.encoder.returning
        self.encoder.returning = True
        root, root_bytes = self.argument(obj)
        self.encoder.returning = before
        nodes: list[Node] = []
        parts: list[bytes] = []
        waiting = self.waiting
        while len(nodes) < len(waiting):  # grows while it is walked
            try:
                node, data = self.node(waiting[len(nodes)])
            except CannotEncode as error:
                raise self.blamed(error, waiting[len(nodes)]) from None
            nodes.append(node)
            parts.append(data)
        payload = b""
        if nodes or self.whole:
            head = _PACKER.pack_array_header
            names = [name if pinned is None else [name, Pointer(pinned)] for name, pinned in self.names]
            payload = b"".join(
                [
                    head(4),
                    b"\x01",
                    pack(names),
                    head(len(parts)),
                    *parts,
                    root_bytes,
                ],
            )
        reduction = Reduction(root, nodes, payload, self.controls)
        reduction.externals = tuple(self.externals)
        reduction.code = tuple(dict.fromkeys(self.code))
        return reduction

    def node(self, expression: Expression) -> tuple[Node, bytes]:
        if type(expression) is TaskCall or type(expression) is SchedulerCall:
            task = expression._redun_task
            op = CALL if type(expression) is TaskCall else CONTROL
            self.controls = self.controls or op == CONTROL
            node = Node(op, task.fullname, [], {}, expression._redun_options, task)
            if task.made_in_body and self.pin is not None:
                node.pinned = self.pin(task)
            expression._redun_placed = True
            args: tuple[Any, ...] = expression._redun_args
            kwargs: dict[str, Any] = expression._redun_kwargs
        elif type(expression) is Operation:
            node = Node(OPERATION, expression._redun_name, [], {})
            args, kwargs = expression._redun_operands, {}
        elif type(expression) is Operand:
            return self.outer(expression), b""
        else:
            raise CodecError(f"an expression of type {type(expression).__name__} cannot be evaluated")
        name = self.names.setdefault((node.name, node.pinned), len(self.names))
        parts = [_NODE_HEAD[node.op], _PACKER.pack(name), _PACKER.pack_array_header(len(args))]
        for value in args:
            arg, data = self.argument(value)
            node.args.append(arg)
            parts.append(data)
        parts.append(_PACKER.pack_map_header(len(kwargs)))
        for key, value in kwargs.items():
            arg, data = self.argument(value)
            node.kwargs[key] = arg
            parts.append(_PACKER.pack(key))
            parts.append(data)
        if not node.options:
            parts.append(_EMPTY_MAP)
        else:
            parts.append(_PACKER.pack_map_header(len(node.options)))
            for key in sorted(node.options):
                parts += (_PACKER.pack(key), self.option(node, key))
        return node, b"".join(parts)

    def option(self, node: Node, name: str) -> bytes:
        assert node.options is not None
        arg, data = self.argument(node.options[name])
        if type(arg) is int or arg.nodes:  # type: ignore[union-attr]  # no number: Encoded
            node.options = {key: value for key, value in node.options.items() if key != name}
            node.lazy_options = {**(node.lazy_options or {}), name: arg}
        return data

    def outer(self, operand: Operand) -> Node:
        node = Node(OUTER, "", [], {})
        node.operand = operand
        self.controls = True
        return node

    def blamed(self, error: CannotEncode, expression: Expression) -> CannotEncode:
        """Returns the error with the name of the argument that it is about."""
        if not isinstance(expression, TaskCall):
            return error
        task = expression._redun_task
        names = [name for name, kind in task.params if kind in (POSITIONAL_ONLY, POSITIONAL)]
        args = expression._redun_args
        numbers = [f"argument {number + 1}" for number in range(len(names), len(args))]
        for name, value in [*zip([*names, *numbers], args, strict=False), *expression._redun_kwargs.items()]:
            try:
                self.argument(value)
            except CannotEncode as found:
                path = name + found.path.removeprefix("value")
                what = found.message.removeprefix(f"{found.path}: ")
                return CannotEncode(f"{path} in a call of {task.fullname}: {what}", path=path, hint=found.hint)
        return error

    def argument(self, value: Any) -> tuple[Arg, bytes]:
        kind = type(value)
        if kind in _LAZY:
            number = self.place(value)
            return number, _node_bytes(number)
        if kind in PLAIN:
            encoded = self.encoder.encode(value)
            return encoded, self.bytes_of(encoded)
        known = self.known.get(id(value))
        encoded = self.encoder.encode(value) if known is None else known[0]
        if kind is list and encoded.nodes and len(encoded.nodes) == len(value):
            encoded.is_list = _LAZY.issuperset(map(type, value))
        if encoded.externals:
            self.externals.extend(encoded.externals)
        if encoded.code:
            self.code.extend(encoded.code)
        if encoded.nodes:
            return encoded, encoded.payload
        if known is None:
            known = self.known[id(value)] = (encoded, self.bytes_of(encoded))
        return known

    def bytes_of(self, encoded: Encoded) -> bytes:
        """What stands for a value without expressions: it, or a pointer to it."""
        if len(encoded.payload) > limits.CHILD_BYTES:
            return pointer_bytes(self.encoder.identify(encoded))
        return encoded.payload


def needs(args: Iterable[Arg]) -> list[int]:
    """Returns the numbers of the nodes that arguments refer to, in order."""
    found: list[int] = []
    for arg in args:
        if isinstance(arg, int):
            found.append(arg)
        else:
            found.extend(arg.nodes)
    return found


def _post_order(root: Arg, nodes: list[Node]) -> list[int]:
    """The numbers of the nodes in the order in which a depth-first walk from the root leaves them."""
    order: list[int] = []
    seen = bytearray(len(nodes))
    stack = [iter(needs([root]))]
    path: list[int] = []
    while stack:
        number = next(stack[-1], None)
        if number is None:
            stack.pop()
            if path:
                order.append(path.pop())
        elif not seen[number]:
            seen[number] = 1
            node = nodes[number]
            path.append(number)
            stack.append(iter(node.inputs()))
    return order


_PACKER: Final[Packer] = msgpack.Packer()
_LAZY: Final = frozenset({TaskCall, Operation, SchedulerCall, Operand})
_EMPTY_MAP: Final = b"\x80"
_NODE_HEAD: Final = {CALL: b"\x95\x00", OPERATION: b"\x95\x01", CONTROL: b"\x95\x02"}


def _node_bytes(number: int) -> bytes:
    if number < 0x100:
        return b"\xd4\x41" + bytes((number,))
    return _PACKER.pack(node_ext(number))


def read_reduction(payload: bytes) -> Reduction:
    """Returns the table of an `expr` object.

    Raises:
        MalformedObject: if the bytes are not one.
    """
    record = unpack(payload)
    try:
        schema, names, rows, root = record
        if schema != 1:
            raise MalformedObject(f"an expr of schema {schema!r}", hint="a newer redun wrote this store; upgrade")
        nodes = [_read_node(names, row, number) for number, row in enumerate(rows)]
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise MalformedObject(f"an expr whose fields do not fit: {error}") from None
    return Reduction(_read_arg(root, len(rows)), nodes, payload, CONTROL in {node.op for node in nodes})


def _read_node(names: list[Any], row: list[Any], count: int) -> Node:
    op, index, args, kwargs, options = row
    if op not in _NODE_HEAD:
        raise MalformedObject(f"an expression of unknown kind {op!r}")
    name = names[index]
    node = Node(
        op,
        name,
        [_read_arg(arg, count) for arg in args],
        {key: _read_arg(arg, count) for key, arg in kwargs.items()} if kwargs else kwargs,
    )
    if options:
        _read_options(node, options, count)
    if type(name) is list:
        node.name, node.pinned = name[0], name[1].digest
    return node


def _read_options(node: Node, options: dict[str, Any], count: int) -> None:
    node.options = {}
    for name, item in options.items():
        arg = _read_arg(item, count)
        if type(arg) is int or arg.nodes:  # type: ignore[union-attr]  # no number: Encoded
            node.lazy_options = {**(node.lazy_options or {}), name: arg}
        else:
            assert isinstance(arg, Encoded)
            node.options[name] = arg.obj if arg.plain else Decoder(_fetch_none).decode(pack(item))


def _fetch_none(digest: Digest) -> tuple[str, Any]:
    raise CannotDecode(f"an option is so large that it lies in an object of its own ({digest.hex()})")


def _read_arg(item: Any, count: int) -> Arg:
    kind = type(item)
    if kind in PLAIN:
        return Encoded(_PACKER.pack(item), item, True)
    if kind is ExtType and item.code == codes.NODE:
        return _checked(int.from_bytes(item.data, "big"), count)
    if kind is Pointer:
        encoded = Encoded(b"")
        encoded.digest = item.digest
        return encoded
    encoded = Encoded(pack(item))
    if kind is list and (numbers := _numbers(item)) is not None:
        encoded.nodes = tuple([_checked(number, count) for number in numbers])
        encoded.inspected = True  # a list of calls and nothing else, as a fan-out returns it
        encoded.is_list = len(numbers) == len(item)
        return encoded
    encoded.nodes = tuple(_checked(number, count) for number in _nodes_in(item))
    return encoded


def _numbers(items: list[Any]) -> list[int] | None:
    """The numbers of a list of nodes and nothing else; None for any other list."""
    found: dict[int, None] = {}
    for item in items:
        if type(item) is not ExtType or item[0] != codes.NODE:
            return None
        found[int.from_bytes(item[1], "big")] = None
    return list(found)


def _checked(number: int, count: int) -> int:
    if number >= count:
        raise MalformedObject(f"an expression refers to node {number} where there are {count} before it")
    return number


def _nodes_in(item: Any) -> list[int]:
    found: dict[int, None] = {}
    waiting = deque([item])
    while waiting:
        part = waiting.popleft()
        kind = type(part)
        if kind is list:
            waiting.extend(part)
        elif kind is dict:
            waiting.extend(part)
            waiting.extend(part.values())
        elif kind is ExtType:
            if part.code == codes.NODE:
                found[int.from_bytes(part.data, "big")] = None
            elif part.code < FIRST_OPAQUE_CODE:
                waiting.append(unpack(part.data))
    return list(found)
