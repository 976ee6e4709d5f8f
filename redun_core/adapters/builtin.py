"""Adapters of builtin types that have no native form."""

from __future__ import annotations

from types import EllipsisType, FunctionType, MappingProxyType, MethodType, NotImplementedType
from typing import Any

from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import CannotEncode
from redun.core.values import Encoder

register(complex, "builtins.complex", lambda _, z: [z.real, z.imag], lambda _, state: complex(*state))
register(range, "builtins.range", lambda _, r: [r.start, r.stop, r.step], lambda _, state: range(*state))
register(slice, "builtins.slice", lambda _, s: [s.start, s.stop, s.step], lambda _, state: slice(*state))
register(EllipsisType, "builtins.ellipsis", lambda _, __: None, lambda _, __: ...)
register(NotImplementedType, "builtins.NotImplementedType", lambda _, __: None, lambda _, __: NotImplemented)


def _method(_: Encoder, method: MethodType) -> Any:
    owner, name = method.__self__, method.__name__
    if _function_of(owner, name) is not method.__func__:
        raise CannotEncode(f"{method!r} cannot be found by its name", hint="give a function that calls it")
    return [owner, name]


def _function_of(owner: Any, name: str) -> Any:
    """The function under a method's name, which is looked up and not asked for: a property would run."""
    for base in owner.__mro__ if isinstance(owner, type) else type(owner).__mro__:
        if name in vars(base):
            found = vars(base)[name]
            return found.__func__ if isinstance(owner, type) and isinstance(found, classmethod) else found
    return None


def _read_method(_: Decoder, state: Any) -> MethodType:
    owner, name = state
    found = _function_of(owner, name)
    if not isinstance(found, FunctionType):
        raise TypeError(f"{name!r} is no method any more")
    return MethodType(found, owner)


register(
    MappingProxyType, "builtins.mappingproxy", lambda _, view: dict(view), lambda _, state: MappingProxyType(state)
)
register(MethodType, "builtins.method", _method, _read_method)
