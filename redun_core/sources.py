"""Source text of functions and classes: reading it, and making sure that it is what runs.

A file may have been edited after it was imported. Text is therefore trusted only if compiling it gives the code object
that the function has, apart from where its lines are; anything else would keep old results under new code.
"""

from __future__ import annotations
import __future__

import ast
import os
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import CodeType, FunctionType
from typing import Any, Final

from redun.core.names import Names, bound_names, names_in, top_level
from redun.core.normal_form import definition_span, imported_names, logical_lines, normalise, with_plain_newlines
from redun.core.ownership import layers, principal

__all__ = ["Capture", "ModuleSource", "capture", "capture_class", "module_source", "normalise", "register_source"]

NO_SOURCE: Final = "no source"
CHANGED: Final = "source does not compile to this code (edited after import?)"
REWRITTEN: Final = "pytest has rewritten the asserts of its module"
NOT_PYTHON: Final = "not a Python function"
AMBIGUOUS: Final = "several lambdas on one line"

_IMPORT: Final = r"^[ \t\f]*(?:import|from)\b"
_OPTIMIZED: Final = 0x01  # set for functions, not for the bodies of modules and classes
_ANNOTATIONS: Final = __future__.annotations.compiler_flag


@dataclass(frozen=True, slots=True)
class Capture:
    """The source of a function or class as it was when the capture was made.

    Attributes:
        text: the whole `def`, `class` or `lambda` as written, indentation included; without decorators. Where it is not
            verified it is the best guess, or empty.
        file, line: where its first line is.
        verified: whether compiling the source gives the code that runs.
        reason: why not.
        decorators: the lines of its decorators, as written.
        code: the code object of the function.
    """

    text: str
    file: str
    line: int
    verified: bool
    reason: str = ""
    decorators: str = ""
    code: CodeType | None = field(default=None, repr=False, compare=False)


# -- modules ----------------------------------------------------------------------------------------------------------


class ModuleSource:
    """The text of one file or cell, and what it compiles to, made when first asked for."""

    def __init__(self, file: str, text: str, stamp: object, code: CodeType | None = None) -> None:
        self.file = file
        self.text = with_plain_newlines(text)
        #: What told this state of the file from others; None for text that somebody vouched for.
        self.stamp = stamp
        self._code = code
        self._compiled: dict[int, dict[str, list[CodeType]]] = {}
        self._tree: ast.Module | None = None
        self._bindings: dict[str, list[ast.stmt]] | None = None
        self._mentions: list[tuple[ast.stmt, set[str]]] | None = None
        self._captured: dict[int, Capture] = {}
        self._captures: dict[int, tuple[CodeType, Capture]] = {}
        self._names: dict[int, Names] = {}
        self._imports: dict[str, str] | None = None
        self._rebound: frozenset[str] | None = None
        self._lines: list[int] = []

    def codes(self, qualname: str, flags: int) -> list[CodeType]:
        """Returns the code objects of that qualified name in this source, compiled under the future in `flags`."""
        flags = 0 if "import annotations" in self.text else flags & _ANNOTATIONS
        index = self._compiled.get(flags)
        if index is None:
            index = self._compiled[flags] = {}
            code = self._code
            if code is None:
                code = _compiled(self.text, self.file, flags)
            if code is not None:
                _collect(code, index)
        return index.get(qualname, [])

    def offset(self, line: int) -> int:
        """Returns where a line begins, counted from 1."""
        if not self._lines:
            starts = [0]
            at = self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._lines = starts
        return self._lines[min(line, len(self._lines)) - 1]

    @property
    def tree(self) -> ast.Module:
        """The syntax tree; empty where the text does not parse."""
        if self._tree is None:
            parsed = _compiled(self.text, self.file, ast.PyCF_ONLY_AST)
            self._tree = parsed if isinstance(parsed, ast.Module) else ast.Module([], [])
        return self._tree

    @property
    def rebound(self) -> frozenset[str]:
        """Names that functions assign through `global`: what they are bound to depends on what has run."""
        if self._rebound is None:
            names: set[str] = set()
            if "global" in self.text:
                for node in ast.walk(self.tree):
                    if isinstance(node, ast.Global):
                        names.update(node.names)
            self._rebound = frozenset(names)
        return self._rebound

    def bindings(self, name: str) -> list[ast.stmt]:
        """Returns the statements at the top level of the module that bind a name, in order."""
        if self._bindings is None:
            self._bindings = {}
            for statement in top_level(self.tree.body):
                for bound in bound_names(statement):
                    self._bindings.setdefault(bound, []).append(statement)
        return self._bindings.get(name, [])

    def additions(self, name: str) -> list[ast.stmt]:
        """Returns the statements at the top level that may change what a name of the module is bound to, without
        binding it: calls that mention it, assignments to its items and attributes, and definitions with a decorator
        that mentions it or is a function that does (`@registry.add`, `@register("x")`)."""
        if self._mentions is None:
            self._mentions = [(statement, self._mentioned(statement)) for statement in top_level(self.tree.body)]
        return [statement for statement, names in self._mentions if name in names]

    def _mentioned(self, statement: ast.stmt) -> set[str]:
        mentions: list[ast.AST] = []
        if isinstance(statement, ast.Expr):
            mentions = [statement.value]
        elif isinstance(statement, (ast.Assign, ast.Delete)):
            mentions = [target for target in statement.targets if not isinstance(target, ast.Name)]
        elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
            mentions = [] if isinstance(statement.target, ast.Name) else [statement.target]
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            mentions = [*statement.decorator_list]
            for used in _loaded(mentions):
                mentions += (one for one in self.bindings(used) if isinstance(one, ast.FunctionDef))
        return _loaded(mentions)

    def definition(self, qualname: str) -> str | None:
        """Returns the text of the first `def` or `class` of that qualified name, with its decorators, or None."""
        for code in self.codes(qualname, 0):
            begin = self.offset(code.co_firstlineno)
            span = definition_span(self.text, begin)
            if span is not None:
                return self.text[begin : span[1]]
        return None

    def names(self, statement: ast.stmt, *, quiet: bool = False) -> Names:
        """Returns what a statement of the tree refers to, read once; see `names_in`."""
        found = self._names.get(id(statement))
        if found is None:
            found = self._names[id(statement)] = names_in([statement], quiet=quiet)
        return found

    def captured(self, code: CodeType) -> Capture:
        """Returns the source of a code object that is one of `codes`, searched once."""
        found = self._captured.get(id(code))
        if found is None:
            found = self._captured[id(code)] = _capture_code(self, code, self.file)
        return found

    def capture(self, code: CodeType) -> Capture | None:
        """Returns the verified source of a function's code, searched once, or None if this text is not its source."""
        known = self._captures.get(id(code))
        if known is not None:
            return known[1]
        candidates = [one for one in self.codes(code.co_qualname, code.co_flags) if same_code(one, code)]
        for candidate in sorted(candidates, key=lambda one: one.co_firstlineno != code.co_firstlineno):
            found = self.captured(candidate)
            if found.verified:
                found = replace(found, code=code)
                self._captures[id(code)] = (code, found)
                return found
        return None

    def imported(self, name: str) -> str:
        """Returns what import statements bind a name to, as `module` or `module:name` in their own words. Read without
        a syntax tree, since nearly every function uses something imported."""
        if self._imports is None:
            self._imports = {}
            for match in re.finditer(_IMPORT, self.text, re.MULTILINE):
                line = next(logical_lines(self.text, match.start()), None)
                for bound, target in imported_names(line.tokens if line is not None else []):
                    known = self._imports.get(bound)
                    self._imports[bound] = target if known in (None, target) else f"{known} | {target}"
        return self._imports.get(name, "")

    def segment(self, node: ast.stmt | ast.expr) -> str:
        """Returns the text of a statement (with its decorators) or expression."""
        begin = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        start = self.offset(begin)
        if begin == node.lineno:
            start += _characters(self.text, start, node.col_offset)
        last = self.offset(node.end_lineno or node.lineno)
        return self.text[start : last + _characters(self.text, last, node.end_col_offset or 0)]


def _loaded(nodes: list[ast.AST]) -> set[str]:
    return {
        node.id
        for root in nodes
        for node in ast.walk(root)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _characters(text: str, start: int, count: int) -> int:
    """How many characters the first `count` bytes of a line are: syntax trees count in UTF-8."""
    head = text[start : start + count]
    return count if head.isascii() else len(head.encode()[:count].decode(errors="ignore"))


def _compiled(text: str, file: str, flags: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the importer has shown them already
        try:
            # cells of notebooks may await at their top level; it changes no function
            return compile(text, file, "exec", flags=flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _collect(code: CodeType, index: dict[str, list[CodeType]]) -> None:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            index.setdefault(constant.co_qualname, []).append(constant)
            _collect(constant, index)


_REGISTERED: Final[dict[str, ModuleSource]] = {}
_READ: Final[dict[str, ModuleSource]] = {}


def register_source(filename: str, text: str, code: CodeType) -> None:
    """Tells what text was compiled under that file name to which module code, so that it is not read again."""
    _REGISTERED[filename] = ModuleSource(filename, text, None, code)


def module_source(file: str, scope: dict[str, Any] | None = None) -> ModuleSource | None:
    """Returns the source that was registered for a file, else the file as it is now; None where there is none.

    `scope` are the names of the module, for sources that only its loader can read (in a zip file).
    """
    return next(_sources(file, scope), None)


def _sources(file: str, scope: dict[str, Any] | None) -> Iterator[ModuleSource]:
    registered = _REGISTERED.get(file)
    if registered is not None:
        yield registered
    try:
        stat = os.stat(file)
    except (OSError, ValueError):
        source = _from_linecache(file, scope)
    else:
        source = _from_disk(file, (stat.st_mtime_ns, stat.st_size, stat.st_ino))
    if source is not None and (registered is None or registered.text != source.text):
        yield source


def _from_disk(file: str, stamp: object) -> ModuleSource | None:
    known = _READ.get(file)
    if known is not None and known.stamp == stamp:
        return known
    try:
        with open(file, "rb") as stream:
            text = _decoded(stream.read())
    except (OSError, SyntaxError, UnicodeDecodeError, LookupError):
        return None
    source = _READ[file] = ModuleSource(file, text, stamp)
    return source


def _decoded(data: bytes) -> str:
    if b"coding" not in data[:400]:
        return data.decode("utf-8-sig")
    import io
    import tokenize  # only for files that may declare an encoding

    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding)


def _from_linecache(file: str, scope: dict[str, Any] | None) -> ModuleSource | None:
    """Cells of notebooks, lines typed at a prompt, and modules inside zip files."""
    import linecache  # only for code that is in no file

    text = "".join(linecache.getlines(file, scope))
    if not text:
        return None
    known = _READ.get(file)
    if known is not None and known.stamp == text:
        return known
    source = _READ[file] = ModuleSource(file, text, text)
    return source


# -- functions --------------------------------------------------------------------------------------------------------


def capture(func: Any) -> Capture:
    """Returns the source of a function; of a decorated one, of the function that the decorators were put on."""
    function = principal(func)
    return Capture("", "", 0, False, NOT_PYTHON) if function is None else capture_function(function)


def capture_function(function: FunctionType) -> Capture:
    """Returns the source of just this function, whatever it wraps."""
    code = function.__code__
    guess: Capture | None = None
    reason = NO_SOURCE
    for source in _sources(code.co_filename, function.__globals__):
        found = source.capture(code)
        if found is not None:
            return found
        candidates = source.codes(code.co_qualname, code.co_flags)
        guess = guess or next(map(source.captured, candidates), None)
        reason = REWRITTEN if "@pytest_ar" in function.__globals__ else CHANGED
    if guess is None:
        return Capture("", code.co_filename, code.co_firstlineno, False, reason, code=code)
    return replace(guess, verified=False, reason=guess.reason or reason, code=code)


def _capture_code(source: ModuleSource, code: CodeType, file: str) -> Capture:
    if code.co_name == "<lambda>":
        return _capture_lambda(source, code, file)
    begin = source.offset(code.co_firstlineno)
    span = definition_span(source.text, begin)
    if span is None:  # made by something else than a definition, or the registered code is not of this text
        return Capture("", file, code.co_firstlineno, False, CHANGED)
    start, end = span
    line = code.co_firstlineno + source.text.count("\n", begin, start)
    return Capture(source.text[start:end], file, line, True, "", source.text[begin:start])


def _capture_lambda(source: ModuleSource, code: CodeType, file: str) -> Capture:
    line = code.co_firstlineno
    nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.Lambda) and node.lineno == line]
    if len(nodes) > 1:
        places = {(p[0], p[1], p[2], p[3]) for p in code.co_positions()}
        here = [node for node in nodes if _place(node.body) in places]
        # Python 3.12 keeps no place of a constant, and columns can be switched off: then what it compiles to decides
        nodes = here if len(here) == 1 else [node for node in nodes if _compiles_to(node, code)]
    texts = {normalise(text): text for text in map(source.segment, nodes)}
    if len(texts) != 1:
        return Capture("", file, line, False, AMBIGUOUS)
    return Capture(texts.popitem()[1], file, line, True)


def _compiles_to(node: ast.Lambda, code: CodeType) -> bool:
    alone = compile(ast.Expression(node), "<lambda>", "eval", dont_inherit=True).co_consts
    return any(
        type(found) is CodeType and same_code(found.replace(co_qualname=code.co_qualname), code) for found in alone
    )


def _place(node: ast.expr) -> tuple[int | None, ...]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def same_code(one: CodeType, other: CodeType) -> bool:
    """Returns whether two code objects do the same: all is compared but file, lines and columns."""
    return (
        one.co_code == other.co_code
        and one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and one.co_freevars == other.co_freevars
        and one.co_cellvars == other.co_cellvars
        and one.co_flags == other.co_flags
        and one.co_argcount == other.co_argcount
        and one.co_posonlyargcount == other.co_posonlyargcount
        and one.co_kwonlyargcount == other.co_kwonlyargcount
        and one.co_exceptiontable == other.co_exceptiontable
        and one.co_qualname == other.co_qualname
        and _same_constant(one.co_consts, other.co_consts)
    )


def _same_constant(one: Any, other: Any) -> bool:
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is CodeType:
        return same_code(one, other)
    if kind is tuple:
        return len(one) == len(other) and all(map(_same_constant, one, other))
    if kind is frozenset:
        # equal items of other types (1 and True) must not pass, and sets of such constants have no order
        return sorted(map(repr, one)) == sorted(map(repr, other))
    if kind in (float, complex):
        return repr(one) == repr(other)  # -0.0 is not 0.0, and nan is itself
    return bool(one == other)


# -- classes ----------------------------------------------------------------------------------------------------------


def capture_class(kind: type) -> Capture:
    """Returns the source of a class. Its methods are verified as functions are; what its body assigns cannot be, since
    a class keeps no code of its body: `fingerprint` compares plain attributes with their values."""
    module = sys.modules.get(kind.__module__)
    functions = list(_methods(kind))
    files = dict.fromkeys(function.__code__.co_filename for function in functions)
    main = getattr(module, "__file__", None)
    reason = NO_SOURCE
    for file in dict.fromkeys([main, *files] if isinstance(main, str) else [*files, *_cells(module)]):
        for source in _sources(file, getattr(module, "__dict__", None)):
            methods = [f.__code__ for f in functions if f.__code__.co_filename == file]
            flags = next((code.co_flags for code in methods), 0)
            bodies = [code for code in source.codes(kind.__qualname__, flags) if not code.co_flags & _OPTIMIZED]
            for body in reversed(bodies):  # of two definitions, the later is the one that stayed
                inside: dict[str, list[CodeType]] = {}
                _collect(body, inside)
                found = source.captured(body)
                if found.verified and all(_is_among(code, inside) for code in methods):
                    return found
                reason = CHANGED
    return Capture("", main or "", 0, False, reason)


def _cells(module: Any) -> list[str]:
    """Returns the names under which the cells of a notebook were compiled, those that ran last first. A class of such a
    module without methods does not tell in which it stands."""
    import linecache  # only for code that is in no file

    # (size, modification time, lines, name): what is no file has no time; other entries are not read yet
    known = [(file, entry[2]) for file, entry in linecache.cache.items() if len(entry) == 4 and entry[1] is None]
    names = {"".join(lines).strip(): file for file, lines in known}
    ran = getattr(module, "_ih", None)  # IPython's own list of what it ran: a cell that ran twice stands there twice
    texts = [text for text in ran if isinstance(text, str)] if isinstance(ran, list) else list(names)
    return [names[text.strip()] for text in reversed(texts) if text.strip() in names]


def _is_among(code: CodeType, index: dict[str, list[CodeType]]) -> bool:
    return any(same_code(found, code) for found in index.get(code.co_qualname, []))


def _methods(kind: type) -> Iterator[FunctionType]:
    """The functions that the body of a class defines, without those that others put there."""
    prefix = kind.__qualname__ + "."
    for value in vars(kind).values():
        parts = (value.fget, value.fset, value.fdel) if isinstance(value, property) else (value,)
        for part in parts:
            for layer in layers(part):
                if isinstance(layer, FunctionType) and layer.__code__.co_qualname.startswith(prefix):
                    yield layer
