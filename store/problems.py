"""What fsck finds: records for people and for scripts."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Callable
from typing import Final, NamedTuple

#: What a level of fsck looks at, on top of those before it.
LEVELS: Final = {
    0: "FORMAT, the structure of the data file, and that both belong together",
    1: "every object still has the bytes that its id was made of",
    2: "every pointer, ref, live run and cache entry leads to an object of the right kind",
    3: "the indexes have all that the executions in them come to, and nothing else",
    4: "every object can be decoded, strictly",
}
DEEPEST: Final = max(LEVELS)


class Problem(NamedTuple):
    """Something that is not as it was written.

    Attributes:
        level: the level that looks at it.
        what: one word for scripts: `file`, `object`, `blob`, `pointer`, `malformed`, `ref`, `reflog`, `run`, `memo`,
            `derived` or `trash`.
        where: what it is about: an id in hexadecimal, a ref's name, a run's uuid, a file.
        message: what is wrong.
        remedy: what to do.
    """

    level: int
    what: str
    where: str
    message: str
    remedy: str


Progress = Callable[[str, int, int], None]
"""Called now and then with what is being looked at (`data file`, `objects`, `cache`, `index`), how many of how many are
done; 0 where nobody knows of how many."""


def no_progress(what: str, done: int, total: int) -> None:
    """Tells nobody."""
    del what, done, total
