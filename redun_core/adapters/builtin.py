"""Adapters of builtin types that have no native form."""

from __future__ import annotations

from types import EllipsisType

from redun.core.adapters.registry import register

register(complex, "builtins.complex", lambda _, z: [z.real, z.imag], lambda _, state: complex(*state))
register(range, "builtins.range", lambda _, r: [r.start, r.stop, r.step], lambda _, state: range(*state))
register(slice, "builtins.slice", lambda _, s: [s.start, s.stop, s.step], lambda _, state: slice(*state))
register(EllipsisType, "builtins.ellipsis", lambda _, __: None, lambda _, __: ...)
