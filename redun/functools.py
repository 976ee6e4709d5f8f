"""Functions over lazy values; see `redun.core.functional`."""

from redun.core.functional import (
    apply_func,
    const,
    eval_,
    flat_map,
    flatten,
    fold,
    identity,
    map_,
    seq,
    starmap,
    zip_,
)

__all__ = [
    "apply_func",
    "const",
    "eval_",
    "flat_map",
    "flatten",
    "fold",
    "identity",
    "map_",
    "seq",
    "starmap",
    "zip_",
]
