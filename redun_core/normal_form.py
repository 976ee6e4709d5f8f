"""The normal form of source text: what is left of code when layout, comments and docstrings are taken away.

Two texts have one normal form exactly when they have the same tokens in the same blocks. It decides ids of tasks, so
it must come out alike whatever Python runs: the standard tokenizer does not (from 3.12 on it takes f-strings apart, and
its errors differ), hence the small one here. It reads source that some Python has compiled; on other text it gives some
tokens, and never fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

# Every character beyond ASCII is taken as part of a name: outside strings and comments, valid source has it nowhere
# else, and which ones are letters changes with the Unicode tables of each Python. (Said by what a name does not hold:
# the class of all the rest takes 5 ms to compile.)
_TOKEN: Final = re.compile(
    r"""([ \t\f]+|\\\n|\#[^\n]*)"""
    r"""|(\n)"""
    r"""|((?:[rR][bBfFtT]?|[bBfFtT][rR]?|[uU])?(?:'{3}|"{3}|'|"))"""
    r"""|(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"""
    r"""|(?:[0-9][0-9_]*\.?|\.[0-9])[0-9_]*(?:[eE][+-]?[0-9][0-9_]*)?[jJ]?"""
    r"""|[^\x00-/:-@\[-^`{-\x7f]+"""
    r"""|\*\*=?|//=?|>>=?|<<=?|\.\.\.|->|:=|[-+*/%&|^@=<>!]=|.)""",
    re.DOTALL,
)
_SKIPPED: Final = 1
_NEWLINE: Final = 2
_STRING: Final = 3
_FSTRING_STOP: Final = re.compile(r"""[\\{}'"]""")
_DOC_NAMES: Final = frozenset({"__doc__", "getdoc"})
_PLAIN_STRING: Final = re.compile(r"""[rRuU]?['"]""")
_TAB: Final = 8
#: Texts whose normal form is remembered: many tasks share their helpers.
_REMEMBERED: Final = 16_384


class LogicalLine:
    """One statement's line, however many lines of text it takes.

    Attributes:
        indent: width of its indentation as Python counts it.
        tokens: their texts in order.
        start, end: where its text lies; from the start of its first line to after its last line's newline.
    """

    __slots__ = ("end", "indent", "start", "tokens")

    def __init__(self, indent: int, start: int) -> None:
        self.indent = indent
        self.start = start
        self.end = start
        self.tokens: list[str] = []


def with_plain_newlines(text: str) -> str:
    """Returns the text with the newlines that Python sees when it reads source."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def logical_lines(text: str, pos: int = 0) -> Iterator[LogicalLine]:
    """Yields the logical lines from `pos`, which begins a line; blank lines and comments are left out."""
    size = len(text)
    while pos < size:
        line = LogicalLine(0, pos)
        line.indent, pos = _indentation(text, pos)
        depth = 0
        while pos < size:
            match = _TOKEN.match(text, pos)
            assert match is not None, "the last alternative takes any character"
            begin, pos = pos, match.end()
            group = match.lastindex
            if group == _SKIPPED:
                continue
            if group == _NEWLINE:
                if depth <= 0:
                    break
                continue
            if group == _STRING:
                pos = _string_end(text, match[_STRING], pos)
            token = text[begin:pos]
            line.tokens.append(token)
            if token in "([{":
                depth += 1
            elif token in ")]}":
                depth -= 1
        if line.tokens:
            line.end = pos
            yield line


def _indentation(text: str, pos: int) -> tuple[int, int]:
    column = 0
    while pos < len(text):
        char = text[pos]
        if char == " ":
            column += 1
        elif char == "\t":
            column = (column // _TAB + 1) * _TAB
        elif char == "\f":
            column = 0
        else:
            break
        pos += 1
    return column, pos


def _string_end(text: str, opening: str, pos: int) -> int:
    """Where the string ends whose prefix and opening quotes are before `pos`."""
    quote = opening.lstrip("rRbBuUfFtT")
    prefix = opening[: -len(quote)].lower()
    if "f" in prefix or "t" in prefix:
        return _literal_end(text, quote, pos, in_spec=False, raw="r" in prefix)
    while True:
        found = text.find(quote, pos)
        if found < 0:
            return len(text)
        slashes = found
        while slashes > pos and text[slashes - 1] == "\\":
            slashes -= 1
        if (found - slashes) % 2 == 0:
            return found + len(quote)
        pos = found + 1


def _literal_end(text: str, quote: str, pos: int, *, in_spec: bool, raw: bool) -> int:
    """The end of an f-string, or (`in_spec`) the closing brace of the field whose format is being read."""
    while match := _FSTRING_STOP.search(text, pos):
        char, at = match[0], match.start()
        following = text[at + 1 : at + 2]
        if char == "\\":
            if not raw and text.startswith("N{", at + 1):
                pos = text.find("}", at) + 1 or len(text)
            else:
                pos = at + 1 if following in ("{", "}") else at + 2
        elif char == "{":
            pos = at + 2 if following == "{" and not in_spec else _field_end(text, quote, at + 1, raw=raw) + 1
        elif char == "}":
            if in_spec:
                return at
            pos = at + 2 if following == "}" else at + 1
        elif text.startswith(quote, at):
            return at if in_spec else at + len(quote)
        else:
            pos = at + 1
    return len(text)


def _field_end(text: str, quote: str, pos: int, *, raw: bool) -> int:
    """The closing brace of a replacement field; `pos` is after its opening brace."""
    depth = 0
    while pos < len(text):
        char = text[pos]
        if depth == 0:
            if char == "}":
                return pos
            if char == ":":
                return _literal_end(text, quote, pos + 1, in_spec=True, raw=raw)
        match = _TOKEN.match(text, pos)
        assert match is not None, "the last alternative takes any character"
        pos = match.end()
        if match.lastindex == _STRING:
            pos = _string_end(text, match[_STRING], pos)
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
    return pos


def definition_span(text: str, pos: int) -> tuple[int, int] | None:
    """Returns where the `def` or `class` lies whose first decorator or header begins at `pos`: from its header's line
    to after its last line. None if there is none there."""
    header: LogicalLine | None = None
    end = pos
    for line in logical_lines(text, pos):
        if header is None:
            if line.tokens[0] == "@":
                continue
            if line.tokens[0] not in ("def", "async", "class"):
                return None
            header = line
            end = line.end
            if line.tokens[-1] != ":":
                break
        elif line.indent <= header.indent:
            break
        else:
            end = line.end
    return None if header is None else (header.start, end)


def imported_names(tokens: list[str]) -> Iterator[tuple[str, str]]:
    """Yields (name, target) of what the import statements of a logical line bind; a target is `module` or
    `module:name`."""
    for statement in _split(tokens, ";"):
        module = ""
        if statement[:1] == ["from"] and "import" in statement:
            place = statement.index("import")
            module = "".join(statement[1:place])
        elif statement[:1] == ["import"]:
            place = 0
        else:
            continue
        for item in _split([token for token in statement[place + 1 :] if token not in "()"], ","):
            renamed = len(item) > 2 and item[-2] == "as"
            path = "".join(item[:-2] if renamed else item)
            if module:
                yield item[-1], f"{module}:{path}"
            elif path:
                yield (item[-1], path) if renamed else (item[0], item[0])


def _split(tokens: list[str], separator: str) -> Iterator[list[str]]:
    part: list[str] = []
    for token in tokens:
        if token != separator:
            part.append(token)
        elif part:
            yield part
            part = []
    if part:
        yield part


@lru_cache(maxsize=_REMEMBERED)
def normalise(text: str) -> str:
    """Returns the normal form: a logical line a line, 4 spaces a block, one space between tokens.

    Docstrings of functions and classes are left out, unless the text names `__doc__` or `getdoc`.
    """
    lines = list(logical_lines(with_plain_newlines(text)))
    keep = any(not _DOC_NAMES.isdisjoint(line.tokens) for line in lines)
    blocks = [lines[0].indent] if lines else []
    written = []
    body_opens = False
    for line in lines:
        while line.indent < blocks[-1] and len(blocks) > 1:
            blocks.pop()
        if line.indent > blocks[-1]:
            blocks.append(line.indent)
        tokens = line.tokens
        body = _body(tokens)
        if not keep:
            if body_opens:
                tokens = _without_docstring(tokens, 0)
            elif 0 < body < len(tokens):
                tokens = _without_docstring(tokens, body)
        body_opens = body == len(line.tokens)
        if tokens:
            written.append("    " * (len(blocks) - 1) + " ".join(tokens))
    return "\n".join(written)


def _body(tokens: list[str]) -> int:
    """The number of tokens up to where the body of a `def` or `class` begins, 0 if the line begins none."""
    if tokens[0] not in ("def", "class") and tokens[:2] != ["async", "def"]:
        return 0
    depth = lambdas = 0
    for place, token in enumerate(tokens):
        if token in "([{":
            depth += 1
        elif token in ")]}":
            depth -= 1
        elif depth == 0 and token == "lambda":
            lambdas += 1
        elif depth == 0 and token == ":":
            if lambdas == 0:
                return place + 1
            lambdas -= 1
    return 0


def _without_docstring(tokens: list[str], start: int) -> list[str]:
    """The tokens without a statement at `start` that is nothing but plain strings."""
    end = start
    while end < len(tokens) and _PLAIN_STRING.match(tokens[end]):
        end += 1
    if end == start or (end < len(tokens) and tokens[end] != ";"):
        return tokens
    return tokens[:start] + tokens[end + 1 :]
