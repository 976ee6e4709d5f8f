"""Whether a path matches a pattern, where a server lists all that there is. The rules are those of `globs`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Final

from redun.core.files.atomic import PART_END

_ANY: Final = "**"


def depth_of(pattern: str) -> int | None:
    """Returns how many directories deep a match can lie, itself counted; None: any number."""
    parts = pattern.split("/")
    return None if _ANY in parts else len(parts)


def matcher(pattern: str, hidden: bool) -> Callable[[str], bool]:
    """Returns what says of a path whether it matches.

    Args:
        pattern: of parts with `*`, `?`, `[...]`, and `**` for any directories.
        hidden: whether wildcards match names that begin with a dot.
    """
    parts = pattern.split("/")
    matches = [re.compile(fnmatch.translate(part)).match for part in parts]
    last = len(parts) - 1

    def skipped(places: set[int]) -> set[int]:
        found = set(places)
        for place in sorted(places):
            step = place
            while step < last and parts[step] == _ANY:
                step += 1
                found.add(step)
        return found

    def fits(place: int, name: str) -> bool:
        if name[:1] == "." and not hidden and parts[place][:1] != ".":
            return False
        return parts[place] == _ANY or matches[place](name) is not None

    def matched(path: str) -> bool:
        *directories, name = path.split("/")
        if not name or (name[0] == "." and name.endswith(PART_END)):
            return False
        places = skipped({0})
        for directory in directories:
            deeper = {place if parts[place] == _ANY else place + 1 for place in places if fits(place, directory)}
            places = skipped(deeper - {last + 1})
        return last in places and fits(last, name)

    return matched
