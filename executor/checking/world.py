"""What a body asks the world for: the environment, the clock, random numbers, files and directories; and code that it
reaches by a name that nobody can read from its text. No change of any of it makes a task run again."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final, NamedTuple

from redun.executor.checking.expressions import Expressions
from redun.executor.checking.values import Absent, Known, Value

#: What is asked for, by the full name that it is asked through; `name.*` is all that is below a name.
WORLD: Final = {
    **dict.fromkeys(("os.environ", "os.environb", "os.getenv", "os.getenvb"), "environment"),
    **dict.fromkeys(("os.getcwd", "os.getlogin", "os.cpu_count", "sys.argv", "getpass.getuser"), "environment"),
    **dict.fromkeys(("os.uname", "socket.gethostname", "platform.node", "platform.uname"), "environment"),
    **dict.fromkeys(("os.path.expanduser", "os.path.expandvars", "os.getpid"), "environment"),
    **dict.fromkeys(("pathlib.Path.cwd", "pathlib.Path.home"), "environment"),
    **dict.fromkeys(("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime"), "clock"),
    **dict.fromkeys(("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today"), "clock"),
    **dict.fromkeys(("datetime.date.today",), "clock"),
    **dict.fromkeys(("random.*", "secrets.*", "numpy.random.*", "uuid.uuid1", "uuid.uuid4", "os.urandom"), "random"),
    **dict.fromkeys(("os.listdir", "os.scandir", "os.walk", "os.fwalk", "glob.glob", "glob.iglob"), "directory"),
    **dict.fromkeys(("open", "io.open"), "file"),
}
#: What makes random numbers of a seed: no matter where it is given one.
_SEEDED: Final = frozenset(
    {"random.Random", "numpy.random.default_rng", "numpy.random.RandomState", "numpy.random.SeedSequence"}
    | {f"numpy.random.{name}" for name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")}
)
#: Below what is random, and no source of it.
_NOT_RANDOM: Final = frozenset(
    {
        "numpy.random.Generator",
        "numpy.random.BitGenerator",
        "random.seed",
        "numpy.random.seed",
        "secrets.compare_digest",
    }
)
_PATH_METHODS: Final = {
    **dict.fromkeys(("read_text", "read_bytes"), "file"),
    **dict.fromkeys(("iterdir", "glob", "rglob"), "directory"),
}
_WORDS: Final = {
    "environment": "reads the environment",
    "clock": "reads the clock",
    "random": "asks for random numbers",
    "file": "reads a file that is no redun.File",
    "directory": "reads a directory",
}
_HINTS: Final = {
    "environment": "pass what matters as an argument, or ask for it with get_context()",
    "clock": "pass the time as an argument; or say that it is no matter: # redun: ok",
    "random": "pass a seed as an argument, and make the numbers of it: random.Random(seed)",
    "file": "take a redun.File as an argument: what it holds counts then",
    "directory": "take the files as arguments, or a redun Dir",
}
#: Names of a file that no argument tells.
_PATH_MAKERS: Final = frozenset({"os.path.join", "pathlib.Path", "posixpath.join", "str", "os.path.abspath"})
_FILE_TYPES: Final = ("File", "Dir", "FileSet")


class Asked(NamedTuple):
    """What is asked of the world, and where."""

    node: ast.AST
    rule: str
    message: str
    hint: str


def asked(node: ast.AST, expressions: Expressions) -> Iterator[Asked]:
    """Yields what the body of a function asks the world for. `expressions` knows its names."""
    arguments = _arguments(node)
    seen: set[int] = set()
    for inner in _inside(node):
        if isinstance(inner, ast.Import | ast.ImportFrom):
            expressions.imported(inner)
    for inner in _inside(node):
        if isinstance(inner, ast.Call):
            found = _called(inner, expressions, arguments)
            if found is not None:
                if found[0] in _WORDS:
                    rule, name = found
                    yield Asked(inner, rule, f"{_WORDS[rule]} ({name})", _HINTS[rule])
                elif found[0] == "code":
                    yield Asked(inner, "code", found[1], "name what is meant, or add it to hash_includes=[...]")
                seen.update(map(id, ast.walk(inner.func)))
        elif isinstance(inner, ast.Attribute | ast.Name) and id(inner) not in seen:
            rule, name = _named(expressions.value(inner))
            if rule in ("environment", "clock", "random", "directory") and isinstance(inner.ctx, ast.Load):
                seen.update(map(id, ast.walk(inner)))
                if name not in _SEEDED:
                    yield Asked(inner, rule, f"{_WORDS[rule]} ({name})", _HINTS[rule])


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yields what stands in the body of a function, calls and longer names first, but no decorators and annotations."""
    waiting: list[ast.AST] = list(getattr(node, "body", [node])[::-1])
    while waiting:
        inner = waiting.pop()
        yield inner
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            waiting += inner.body[::-1]
        elif isinstance(inner, ast.AnnAssign):
            waiting += [part for part in (inner.target, inner.value) if part is not None]
        else:
            waiting += list(ast.iter_child_nodes(inner))[::-1]


def _called(node: ast.Call, expressions: Expressions, arguments: dict[str, bool]) -> tuple[str, str] | None:
    value = expressions.value(node.func)
    rule, name = _named(value)
    given = bool(node.args or node.keywords)
    if name in _SEEDED:
        return (rule, name) if not given or _is_none(node) else ("", "")
    if rule == "file":
        reads = _reads(node) and bool(node.args) and _is_outside(node.args[0], expressions, arguments)
        return (rule, name) if reads else ("", "")
    if name in ("time.localtime", "time.gmtime", "time.ctime") and given:
        return "", ""
    if rule:
        return rule, name
    if isinstance(node.func, ast.Attribute) and node.func.attr in _PATH_METHODS and value is None:
        if _is_outside(node.func.value, expressions, arguments, a_path=True):
            return _PATH_METHODS[node.func.attr], f"Path.{node.func.attr}"
        return None
    return _dynamic(node, value)


def _dynamic(node: ast.Call, value: Value) -> tuple[str, str] | None:
    function = value.value if isinstance(value, Known) else None
    name = getattr(function, "__name__", "")
    if function in (exec, eval, __import__, globals):
        return "code", f"calls {name}(): what it uses cannot be read from its text"
    if function is getattr and len(node.args) > 1:
        wanted = node.args[1]
        if not (isinstance(wanted, ast.Constant) and isinstance(wanted.value, str)):
            return "code", "calls getattr() with a computed name: what it uses cannot be read from its text"
    if name == "import_module" and getattr(function, "__module__", "") == "importlib":
        return "code", "calls import_module(): what it uses cannot be read from its text"
    return None


def _named(value: Value) -> tuple[str, str]:
    """Returns (rule, full name) of something that is asked of the world, else (nothing, its name)."""
    name = full_name(value)
    rule = WORLD.get(name, "")
    if not rule and name not in _NOT_RANDOM:
        parts = name.split(".")
        rule = next((WORLD[up] for n in range(len(parts), 0, -1) if (up := f"{'.'.join(parts[:n])}.*") in WORLD), "")
        if name in ("random", "numpy.random", "secrets"):
            rule = ""
    return rule, name


def full_name(value: Value) -> str:
    """Returns the name that something is known by: `time.time`, however it was imported."""
    if isinstance(value, Absent):
        return value.path
    if not isinstance(value, Known):
        return ""
    found: Any = value.value
    if isinstance(found, ModuleType):
        return found.__name__
    if sys.modules.get("os") is not None and found is sys.modules["os"].environ:
        return "os.environ"
    if found is sys.argv:
        return "sys.argv"
    kinds = FunctionType | BuiltinFunctionType | MethodType | type
    if not isinstance(found, kinds) and type(found).__name__ != "cython_function_or_method":
        return ""
    name = str(getattr(found, "__qualname__", ""))
    owner = getattr(found, "__self__", None)
    module = getattr(found, "__module__", None)
    if isinstance(found, MethodType | BuiltinFunctionType) and owner is not None and not isinstance(owner, ModuleType):
        kind = owner if isinstance(owner, type) else type(owner)
        if kind.__module__ in ("random", "numpy.random.mtrand"):
            return f"{kind.__module__.removesuffix('.mtrand')}.{name.rpartition('.')[2]}"
        module = kind.__module__
    home = {"builtins": "", "posix": "os", "nt": "os", "posixpath": "os.path", "_io": "io", "io": "io"}
    home |= {"numpy.random._generator": "numpy.random", "numpy.random.mtrand": "numpy.random"}
    prefix = home.get(str(module), str(module or ""))
    if prefix == "io" and name == "open":
        return "open"
    return f"{prefix}.{name}" if prefix else name


# -- files ------------------------------------------------------------------------------------------------------------


def _reads(node: ast.Call) -> bool:
    mode = node.args[1] if len(node.args) > 1 else next((k.value for k in node.keywords if k.arg == "mode"), None)
    if mode is None:
        return True
    said = mode.value if isinstance(mode, ast.Constant) else None
    return isinstance(said, str) and not set(said) & set("wxa")


def _arguments(node: ast.AST) -> dict[str, bool]:
    """The parameters of a function, and whether each may be a path that nothing vouches for."""
    given = getattr(node, "args", None)
    if not isinstance(given, ast.arguments):
        return {}
    found = {}
    for parameter in ast.walk(given):
        if isinstance(parameter, ast.arg):
            said = "" if parameter.annotation is None else ast.unparse(parameter.annotation)
            found[parameter.arg] = not any(kind in said for kind in _FILE_TYPES)
    return found


def _is_outside(node: ast.expr, expressions: Expressions, arguments: dict[str, bool], *, a_path: bool = False) -> bool:
    """Whether an expression is a path that is written down, or handed in as no more than a path."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.JoinedStr):
        parts = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        return all(_is_outside(part, expressions, arguments) for part in parts)
    if isinstance(node, ast.Name):
        if node.id in arguments:
            return arguments[node.id]
        known = expressions.value(node)
        return isinstance(known, Known) and isinstance(known.value, str | PurePath)
    if isinstance(node, ast.BinOp):
        return all(_is_outside(part, expressions, arguments) for part in (node.left, node.right))
    if isinstance(node, ast.Call) and node.args:
        name = full_name(expressions.value(node.func))
        if name in _PATH_MAKERS or name.endswith("Path"):
            return all(_is_outside(part, expressions, arguments) for part in node.args)
    return False


def _is_none(node: ast.Call) -> bool:
    return len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and node.args[0].value is None
