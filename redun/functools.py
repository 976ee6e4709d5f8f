"""Functions over lazy values; see `redun.core.functional`."""

from redun.core.functional import (
    apply_func,
    as_task,
    compose,
    const,
    delay,
    eval_,
    flat_map,
    flatten,
    fold,
    force,
    identity,
    map_,
    seq,
    starmap,
    zip_,
)
from redun.core.subworkflows import no_prov

__all__ = [
    "apply_func",
    "as_task",
    "compose",
    "const",
    "delay",
    "eval_",
    "flat_map",
    "flatten",
    "fold",
    "force",
    "identity",
    "map_",
    "no_prov",
    "seq",
    "starmap",
    "zip_",
]
