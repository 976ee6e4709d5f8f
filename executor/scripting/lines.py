"""Lines from the bytes that a process writes, as they are shown while it runs."""

from __future__ import annotations

from typing import Final

#: A line that is longer is shown as several.
_LINE_BYTES: Final = 4096
#: What of one stream of one script is shown while it runs: whoever waits to print it must not be drowned.
SHOWN_BYTES: Final = 1 << 20


class Lines:
    """Cuts what it is given into lines, up to a limit. Of what a progress bar writes over again in one line only the
    last is a line."""

    def __init__(self) -> None:
        self._rest = b""
        self._room = SHOWN_BYTES
        self._told = False

    def feed(self, data: bytes) -> list[str]:
        """Returns the lines that end in these bytes."""
        if self._told:
            return []
        *whole, rest = (self._rest + data).split(b"\n")
        while len(rest) > _LINE_BYTES:
            whole.append(rest[:_LINE_BYTES])
            rest = rest[_LINE_BYTES:]
        self._rest = rest
        return self._texts(whole)

    def end(self) -> list[str]:
        """Returns the last line, where nothing ended it."""
        rest, self._rest = self._rest, b""
        return self._texts([rest]) if rest else []

    def _texts(self, lines: list[bytes]) -> list[str]:
        texts: list[str] = []
        for line in lines:
            if self._room <= 0:
                texts.append("(what follows of this stream is not shown)")
                self._rest, self._told = b"", True
                break
            self._room -= len(line) + 1
            texts.append(text_of(line.rstrip(b"\r").rpartition(b"\r")[2]))
        return texts


def text_of(data: bytes) -> str:
    """Returns bytes as text, whatever they are."""
    return data.decode("utf-8", "backslashreplace")
