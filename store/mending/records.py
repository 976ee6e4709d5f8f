"""What a repair did: records for people and for scripts."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from typing import Final, NamedTuple

from redun.store.problems import Problem


class Mended(NamedTuple):
    """Something that a repair did.

    Attributes:
        what: one word for scripts, as in `Problem`; or `cache`, for results that are forgotten.
        where: what it was done to.
        message: what was done.
        lost: whether something is gone that was there, until it is made again or for good.
    """

    what: str
    where: str
    message: str
    lost: bool = False


class Repaired(NamedTuple):
    """What a repair came to.

    Attributes:
        done: what it did, in that order.
        remaining: what is still wrong.
        kept: the directory with everything that was taken out, or "" where nothing was.
    """

    done: tuple[Mended, ...] = ()
    remaining: tuple[Problem, ...] = ()
    kept: str = ""


_AGAIN: Final = "declared lost, and what the cache has of it forgotten, so that the next run makes it again"

#: Word of a problem -> what a repair does about it.
PLANS: Final = {
    "file": "what can be read is copied to a new file, object by object, and the old file kept aside",
    "object": f"it is had back from the trash or its file where that is whole; else it is taken out and {_AGAIN}",
    "blob": f"it is taken out and {_AGAIN}",
    "pointer": f"it is had back from its file where that is whole; else {_AGAIN}",
    "malformed": "nothing: these are the bytes that were put",
    "ref": "it is set to where its log says, or to the newest execution that is there; else it is removed",
    "reflog": "the entry is written anew from those before and after it",
    "run": "what can be read of it is sealed as an interrupted execution",
    "memo": "it is forgotten: the next run of its task makes it again",
    "trash": "it is removed from the trash",
    "derived": "it is removed: it is found out again",
}
