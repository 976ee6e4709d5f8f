"""Forms: how one stored item is written, one level deep, found from its bytes alone.

Nothing here imports user code or makes an instance of a stored class. Bytes of strangers are met: every text that comes
from them is escaped, so that a terminal obeys none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from redun.core import codes
from redun.core.codec import FIRST_OPAQUE_CODE, ExtType, unpack
from redun.core.concealed import MASK
from redun.core.errors import MalformedObject

#: Bits of an integer that is written in decimals: the conversion is quadratic.
_INT_BITS: Final = 4096
_SHORT: Final = 8

Part = tuple[Any, Any]
"""(label, item). The label is text before the item; a `DictKey` is an item itself, with `: ` after it."""


class Form:
    """How an item is written: an atom (`parts` is None), or parts between an opening and a closing text. Where there
    are several lines, `block` are those after the opening."""

    __slots__ = ("block", "close", "opening", "parts", "sep", "style")

    def __init__(
        self,
        opening: str,
        parts: Iterable[Part] | None = None,
        close: str = "",
        *,
        sep: str = ", ",
        style: str = "",
        block: Sequence[str] | None = None,
    ) -> None:
        self.opening = opening
        self.parts = parts
        self.close = close
        self.sep = sep
        self.style = style
        self.block = block


class DictKey:
    """Marks a label that is an item of its own: the key of a dict."""

    __slots__ = ("item",)

    def __init__(self, item: Any) -> None:
        self.item = item


# -- text that is safe to print ---------------------------------------------------------------------------------------


def printable(text: str, keep: str = "") -> str:
    """Returns the text with every character escaped that is not printable, but those in `keep`.

    Names, paths and source text come from wherever the objects came from; a terminal must not obey them.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def printable_lines(text: str) -> str:
    """Returns text of several lines, escaped as by `printable` but for line ends and tabs."""
    return printable(text, keep="\n\t")


def short_id(digest: bytes) -> str:
    """Returns the first characters of an id, as printed where the whole is too long."""
    return digest.hex()[:_SHORT]


def class_name(name: str) -> str:
    """Returns the last part of `module:qualname`, as `repr` would print it."""
    return printable(name.rpartition(":")[2].rpartition(".")[2])


def base_name(fullname: str) -> str:
    """Returns a task's name without its namespace."""
    return printable(fullname.rpartition(".")[2])


# -- parts ------------------------------------------------------------------------------------------------------------


def items_of(items: Iterable[Any]) -> Iterator[Part]:
    """Returns parts without labels."""
    return (("", item) for item in items)


def named(pairs: Iterable[tuple[Any, Any]]) -> Iterator[Part]:
    """Returns parts labelled `name=`."""
    return ((f"{printable(str(name))}=", item) for name, item in pairs)


def keyed(pairs: Iterable[tuple[Any, Any]]) -> Iterator[Part]:
    """Returns parts labelled by an item, as in a dict."""
    return ((DictKey(key), item) for key, item in pairs)


def arguments(args: Iterable[Any], kwargs: dict[Any, Any]) -> Iterator[Part]:
    """Returns the parts of a call: positional ones, then named ones."""
    yield from items_of(args)
    yield from named(kwargs.items())


def type_name(item: Any) -> str:
    """Returns the type that an item has when it is decoded, as `module.name`."""
    kind = type(item)
    if kind is not ExtType:
        return f"builtins.{'NoneType' if item is None else kind.__name__}"
    fixed = _TYPES.get(item.code)
    if fixed is not None or item.code >= FIRST_OPAQUE_CODE:
        return fixed or f"extension {item.code}"
    try:
        name = unpack(item.data)[0]
        return printable(
            ("" if ":" in name else _PREFIXES.get(item.code, "")) + name.partition("/")[0].replace(":", ".")
        )
    except (MalformedObject, TypeError, IndexError, KeyError, AttributeError):
        return "malformed"


_TYPES: Final = {
    codes.TUPLE: "builtins.tuple",
    codes.SET: "builtins.set",
    codes.FROZENSET: "builtins.frozenset",
    codes.FUNCTION: "builtins.function",
    codes.CLASS: "builtins.type",
    codes.TASK: "redun.Task",
    codes.PARTIAL: "redun.PartialTask",
    codes.QUOTED: "redun.QuotedExpression",
    codes.BIGINT: "builtins.int",
    codes.BYTEARRAY: "builtins.bytearray",
    codes.SURROGATES: "builtins.str",
}
#: Large leaves and containers name their type without its module.
_PREFIXES: Final = {
    codes.LARGE: "builtins.",
    codes.SEGMENTED: "builtins.",
    codes.FILE: "redun.",
    codes.FILESET: "redun.",
}


# -- leaves -----------------------------------------------------------------------------------------------------------


def leaf(item: Any, limit: int | None) -> Form | None:
    """Returns the form of a native item that holds no other, cut to `limit` before it is escaped, or None."""
    kind = type(item)
    if kind is str or kind is bytes:
        return Form(repr(item if limit is None else item[:limit]), style="text")
    if item is None or kind is bool:
        return Form(repr(item), style="word")
    if kind is int or kind is float:
        return Form(repr(item), style="number")
    return None


def opaque(code: int, data: bytes, limit: int | None) -> Form:
    """Returns the form of an opaque extension other than pointers and nodes."""
    if code == codes.BIGINT:
        bits = len(data) * 8
        if bits > _INT_BITS:
            return Form(f"<int of {bits:,} bits>", style="number")
        return Form(repr(int.from_bytes(data, "big", signed=True)), style="number")
    if code == codes.BYTEARRAY:
        return Form(repr(bytearray(data if limit is None else data[:limit])), style="text")
    if code == codes.SURROGATES:
        return Form(repr(data.decode("utf-8", "surrogatepass")[:limit]), style="text")
    return Form(f"<extension {code} of {len(data)} bytes>", style="id")


# -- structured extensions --------------------------------------------------------------------------------------------


def _tuple(items: list[Any]) -> Form:
    return Form("(", items_of(items), ",)" if len(items) == 1 else ")")


def _set(items: list[Any]) -> Form:
    return Form("{", items_of(items), "}") if items else Form("set()")


def _frozenset(items: list[Any]) -> Form:
    return Form("frozenset({", items_of(items), "})") if items else Form("frozenset()")


def _fields(items: list[Any]) -> Form:
    return Form(f"{class_name(items[0])}(", named(zip(items[1], items[2], strict=True)), ")")


def _enum(items: list[Any]) -> Form:
    if isinstance(items[1], str):
        return Form(f"<{class_name(items[0])}.{printable(items[1])}>", style="name")
    return Form(f"{class_name(items[0])}(", items_of(items[1:]), ")")


def _instance(items: list[Any]) -> Form:
    name, args, (state, elements, pairs) = items
    parts: list[Part] = list(items_of(args))
    # a state is a dict, or a tuple of the dict and the slots
    pair = type(state) is ExtType and state.code == codes.TUPLE
    for part in unpack(state.data) if pair else [state]:
        if type(part) is dict:
            parts += named(_fields_of(part).items())
        elif part is not None:
            parts.append(("state=", part))
    parts += [(label, part) for label, part in (("items=", elements), ("pairs=", pairs)) if part is not None]
    return Form(f"{class_name(name)}(", parts, ")")


def _fields_of(state: dict[Any, Any]) -> dict[Any, Any]:
    """The fields in a state: a model of pydantic keeps them in a dict of their own, beside which of them were given."""
    own = state.get("__dict__")
    if type(own) is not dict or "__pydantic_fields_set__" not in state:
        return state
    more = (state.get(f"__pydantic_{name}__") for name in ("extra", "private"))
    return own | {name: value for part in more if type(part) is dict for name, value in part.items()}


def _error(items: list[Any]) -> Form:
    return Form(f"{class_name(items[0])}(", items_of(items[1]), ")")


def _dotted(name: str) -> str:
    return name.removeprefix("builtins:").replace(":", ".")


def _function(items: list[Any]) -> Form:
    return Form(f"<function {printable(_dotted(items[0]))}>", style="name")


def _class(items: list[Any]) -> Form:
    return Form(f"<class {_dotted(items[0])!r}>", style="name")


def _task(items: list[Any]) -> Form:
    return Form(f"Task({printable(items[0])})", style="name")


def _partial(items: list[Any]) -> Form:
    name, args, kwargs, options = items
    parts = list(arguments(args, kwargs))
    if not options:
        return Form(f"{printable(name)}.partial(", parts, ")")
    chosen = Form(f"{printable(name)}.options(", list(arguments([], options)), ")")
    return Form("", items_of([chosen, Form(".partial(", parts, ")")] if parts else [chosen]), "", sep="")


def _quoted(items: list[Any]) -> Form:
    return Form("quote(", items_of(items), ")")


def _path(item: Any) -> str:
    """A path as text: one that is not UTF-8 comes in an extension of its own."""
    return printable(item.data.decode("utf-8", "surrogatepass") if type(item) is ExtType else item)


def _kind_of_file(written: str) -> tuple[str, str]:
    """The class, and what is written behind the path where files are not compared by what is the rule for it."""
    name, _, by = written.partition("/")
    return class_name(name), f", by={printable(by)}" if by else ""


def _file(items: list[Any]) -> Form:
    name, way = _kind_of_file(items[0])
    path, state = items[1], items[2]
    shown = "" if state == b"" else f", hash={'missing' if state is None else short_id(state)}"
    return Form(f"{name}(path={_path(path)}{way}{shown})", style="name")


#: A class of the user's that derives from a directory may have any name: then its path tells.
_WILD: Final = frozenset("*?[")


def _file_set(items: list[Any]) -> Form:
    name, way = _kind_of_file(items[0])
    is_directory = name.endswith("Dir") or (":" in items[0] and not _WILD.intersection(_path(items[1])))
    label = "path" if is_directory else "pattern"
    _, pattern, hidden, digest, count, _ = items[:6]
    hidden = ", hidden=True" if hidden else ""
    shown = f", files={int(count)}, hash={short_id(digest)}" if digest else ""
    return Form(f"{name}({label}={_path(pattern)}{hidden}{way}{shown})", style="name")


def _large(items: list[Any]) -> Form:
    name, pointer, size = items
    return Form(f"<{printable(name)} of {size:,} bytes {short_id(pointer)}>", style="id")


def _adapted(items: list[Any]) -> Form:
    code, state = items
    writer = ADAPTED.get(code) or FAMILIES.get(code.partition(".")[0])
    if writer is not None:
        return writer(code, state)
    return Form(f"{base_name(code)}(", items_of([state]), ")")


STRUCTURED: Final[dict[int, Callable[[list[Any]], Form]]] = {
    codes.TUPLE: _tuple,
    codes.SET: _set,
    codes.FROZENSET: _frozenset,
    codes.ADAPTED: _adapted,
    codes.DATACLASS: _fields,
    codes.NAMEDTUPLE: _fields,
    codes.ENUM: _enum,
    codes.INSTANCE: _instance,
    codes.ERROR: _error,
    codes.FUNCTION: _function,
    codes.CLASS: _class,
    codes.TASK: _task,
    codes.PARTIAL: _partial,
    codes.QUOTED: _quoted,
    codes.FILE: _file,
    codes.FILESET: _file_set,
    codes.LARGE: _large,
}
"""The writer of each structured extension but `SEGMENTED`; each is given the items and may fail on malformed ones."""


# -- values of adapters -----------------------------------------------------------------------------------------------


def _as_arguments(code: str, state: Any) -> Form:
    return Form(f"{base_name(code)}(", items_of(state), ")")


def _range(_: str, state: Any) -> Form:
    return Form("range(", items_of(state if state[2] != 1 else state[:2]), ")")


def _complex(_: str, state: Any) -> Form:
    return Form(repr(complex(float(state[0]), float(state[1]))), style="number")


def _moment(code: str, state: Any) -> Form:
    text, zone, fold = state
    parts: list[Part] = [("", text)]
    parts += [("tzinfo=", zone)] if zone is not None else []
    parts += [("fold=", fold)] if fold else []
    return Form(f"{base_name(code)}(", parts, ")")


def _timedelta(_: str, state: Any) -> Form:
    units = zip(("days", "seconds", "microseconds"), state, strict=True)
    return Form("timedelta(", named((name, n) for name, n in units if n), ")")


def _timezone(_: str, state: Any) -> Form:
    return Form("timezone(", items_of(part for part in state if part is not None), ")")


def _uuid(_: str, state: Any) -> Form:
    text = state.hex()
    return Form(
        f"UUID('{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}')",
        style="name",
    )


def _deque(_: str, state: Any) -> Form:
    items, longest = state
    return Form(
        "deque(",
        [("", items), *([("maxlen=", longest)] if longest is not None else [])],
        ")",
    )


def _output(_: str, state: Any) -> Form:
    kind, path, local, _by, _hidden = state
    label = "pattern" if kind.endswith("Set") else "path"
    where = "" if local is None else f", local={_path(local)}"
    return Form(f"{printable(kind)}({label}={_path(path)}{where})", style="name")


def _staging(code: str, state: Any) -> Form:
    local, remote = state
    return Form(f"{base_name(code)}(", named([("local", local), ("remote", remote)]), ")")


def _handle(_: str, state: Any) -> Form:
    kind, name, namespace, _args, _kwargs, _line, states = state
    full = f"{namespace}.{name}" if namespace else name
    return Form(f"{class_name(kind)}(name={printable(full)}, state={'+'.join(map(short_id, states))})", style="name")


#: The writer of an adapter's code, and of all codes of a library that have none of their own.
FAMILIES: Final[dict[str, Callable[[str, Any], Form]]] = {}
ADAPTED: Final[dict[str, Callable[[str, Any], Form]]] = {
    "builtins.complex": _complex,
    "builtins.range": _range,
    "builtins.slice": _as_arguments,
    "builtins.ellipsis": lambda _, __: Form("...", style="word"),
    "datetime.datetime": _moment,
    "datetime.time": _moment,
    "datetime.timedelta": _timedelta,
    "datetime.timezone": _timezone,
    "fractions.Fraction": _as_arguments,
    "uuid.UUID": _uuid,
    "collections.defaultdict": _as_arguments,
    "collections.deque": _deque,
    "collections.ChainMap": _as_arguments,
    "redun_files.Output": _output,
    "redun_files.StagingFile": _staging,
    "redun_files.ContentStagingFile": _staging,
    "redun_files.IStagingFile": _staging,
    "redun_files.StagingDir": _staging,
    "redun_files.ContentStagingDir": _staging,
    "redun_files.IStagingDir": _staging,
    "redun.secret": lambda _, __: Form(f"Secret({MASK})", style="name"),
    "redun.Handle": _handle,
    "redun.hidden": lambda _, __: Form(MASK, style="name"),
}


# -- operations of expressions ----------------------------------------------------------------------------------------

_INFIX: Final = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip
_PREFIX: Final = {"neg": "-", "pos": "+", "invert": "~"}


def operation(name: str, operands: list[Any]) -> Form:
    """Returns the form of an operation of an expression: infix, prefix, item, attribute, call, or by its name."""
    if name in _INFIX and len(operands) == 2:
        return Form("(", items_of(operands), ")", sep=f" {_INFIX[name]} ")
    if name in _PREFIX and len(operands) == 1:
        return Form(_PREFIX[name], items_of(operands))
    if name == "getitem" and len(operands) == 2:
        return Form("", [("", operands[0]), ("[", operands[1])], "]", sep="")
    if name == "getattr" and len(operands) == 2 and isinstance(operands[1], str):
        return Form("", items_of(operands[:1]), f".{printable(operands[1])}")
    if name == "call" and len(operands) == 3:
        function, args, kwargs = operands
        given = unpack(args.data) if type(args) is ExtType and args.code == codes.TUPLE else args
        return Form("", items_of([function, Form("(", list(arguments(given, kwargs)), ")")]), sep="")
    return Form(f"{printable(name)}(", items_of(operands), ")")
