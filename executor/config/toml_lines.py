"""The lines on which the keys of a TOML document stand. Python's reader of TOML tells values only.

The document has been read before, so it is well-formed: what is left to do is to pass over values.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final

Path = tuple[str, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_CLOSING: Final = re.compile(r"\]+")
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'""")
_TEXT: Final = re.compile(
    r'''"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:'{0,2})|"(?:\\.|[^"\\])*"|'[^']*\'''', re.DOTALL
)


def key_lines(text: str) -> dict[Path, int]:
    """Returns the line (from 1) of each table and key of a well-formed document, of the first where several have one.

    What stands inside a list or an inline table is not listed: it has the line of the key before it.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._lines: dict[Path, int] = {}

    def read(self) -> dict[Path, int]:
        table: Path = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return self._lines
            if self._text[self._at] == "[":
                self._at += 2 if self._text.startswith("[[", self._at) else 1
                table = self._key(())
                self._at = self._text.index("]", self._at)
                self._skip(_CLOSING)
                self._pass_line()
            else:
                self._key(table)
                self._at += 1  # the equals sign
                self._pass_line()

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"no key at {self._at}")  # never: the document was read before
        self._at = found.end()
        return found[0]

    def _key(self, table: Path) -> Path:
        """Reads a key with all its parts, and notes the line of every table that it names."""
        path = table
        while True:
            self._skip(_SPACE)
            path = (*path, _unquoted(self._skip(_PART)))
            self._lines.setdefault(path, self._line_here())
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return path
            self._at += 1

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _pass_line(self) -> None:
        """Goes to the end of the line, or of the last line of a value that has several."""
        depth = 0
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in "\"'":
                self._skip(_TEXT)
                continue
            if character == "#":
                self._at = (self._text.find("\n", self._at) + 1 or len(self._text) + 1) - 1
                continue
            if character == "\n" and depth == 0:
                return
            depth += (character in "[{") - (character in "]}")
            self._at += 1


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    key: str = tomllib.loads(f"key = {part}")["key"]
    return key
