"""What a check of a workflow has to say: one remark a mistake, with the place and what to do instead."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

#: Rule -> what it is about, for people.
RULES: Final = {
    "truth": "a lazy value is asked whether it is true",
    "loop": "a lazy value is looped over",
    "unpacking": "a lazy value of unknown length is unpacked",
    "text": "a lazy value is made a text",
    "number": "a lazy value is made a number",
    "dropped": "a call of a task is neither returned nor stored, so it never runs",
    "code": "code that nobody can find from the text",
    "environment": "a task reads the environment",
    "clock": "a task reads the clock",
    "random": "a task asks for random numbers",
    "file": "a task reads a file that is no redun.File",
    "directory": "a task reads a directory",
}
_SILENCED: Final = re.compile(r"#\s*redun:\s*ok(?:\s*\[([\w\s,-]*)\])?")


class Remark(NamedTuple):
    """One mistake.

    Attributes:
        file, line, column, end_line: where it is; columns count from 1.
        rule: one of `RULES`.
        task: the task in whose body it is, or one that uses the function; empty where there is none.
        message: what is wrong.
        hint: what to do instead.
    """

    file: str
    line: int
    column: int
    end_line: int
    rule: str
    task: str
    message: str
    hint: str


def is_silenced(remark: Remark, lines: list[str]) -> bool:
    """Returns whether a line of the remark ends with `# redun: ok`, or names its rule: `# redun: ok[clock]`."""
    for line in lines[remark.line - 1 : remark.end_line]:
        found = _SILENCED.search(line) if "redun:" in line else None
        if found is not None:
            named = found.group(1)
            if named is None or remark.rule in re.split(r"[\s,]+", named):
                return True
    return False
