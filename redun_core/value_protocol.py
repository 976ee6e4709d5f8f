"""Values that say themselves how they are stored and whether they hold: `Value`, and `ProxyValue` for types of others.

    class Ring(Value):
        type_name = "acme.Ring"

        def __init__(self, numbers):
            self.numbers = numbers

        def __getstate__(self):
            return {"numbers": sorted(self.numbers)}

        def __setstate__(self, state):
            self.numbers = state["numbers"]

What identifies such a value is what is stored of it: the state, or what `serialize` returns. An own `get_hash` adds to
that and takes nothing away. Nothing is ever pickled.
"""

from __future__ import annotations

import copyreg
import functools
import re
import warnings
from typing import Any, ClassVar, Final

from redun.core import codes
from redun.core.adapters.registry import choose, register
from redun.core.classes import rebuilt
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotEncode, CodecError
from redun.core.frame import object_id
from redun.core.values import FINDERS, HANDLERS, PLAIN, Encoder, Handler, Ready, find_handler

#: What the name of a type may be; it is printed as it is.
_NAME: Final = re.compile(r"[A-Za-z_][\w.<>\[\]]*")
#: Methods that the engine of this program never calls.
_UNCALLED: Final = ("preprocess", "postprocess", "iter_subvalues")

#: Types whose values are stored without anybody being asked.
_FIXED: Final = PLAIN | {list, dict, tuple, set, frozenset, bytearray, object}
#: The proxy of each type that has one.
PROXIES: Final[dict[type, type[ProxyValue]]] = {}


def _is_own(cls: type, name: str) -> bool:
    """Whether a class has a method of its own where `_Common` has a form of it."""
    found = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
    return found is not vars(_Common)[name]


def reads_words(cls: type) -> bool:
    """Returns whether a class reads words of the command line."""
    return issubclass(cls, _Common) and _is_own(cls, "parse_arg")


def _name_of(cls: type) -> str:
    name = vars(cls).get("type_name") or f"{codes.module_name(cls.__module__)}.{cls.__qualname__}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CodecError(f"type_name of {cls.__qualname__} is {name!r}", hint="call it yourtool.TypeName")
    return name


def _prepare(cls: Any) -> None:
    """Makes the methods of a class safe to call, and says which of them will not be."""
    if "is_valid" in vars(cls):
        cls.is_valid = _guarded(cls.is_valid)
    for name in _UNCALLED:
        if name in vars(cls):
            warnings.warn(
                f"{cls.__qualname__}.{name} is never called: values are looked through by their structure, and what a "
                "task changes outside is a Handle",
                stacklevel=4,
            )


def _guarded(is_valid: Any) -> Any:
    @functools.wraps(is_valid)
    def asked(self: Any) -> bool:
        try:
            return bool(is_valid(self))
        except Exception:  # noqa: BLE001  the user's own code: what cannot be looked at is not there
            return False

    return asked


class _Common:
    """What values of both kinds may say of themselves."""

    type_name: ClassVar[str | None] = None

    def is_valid(self) -> bool:
        """Returns whether what the value stands for is as it was when the value was made; where it is not, the task
        that made it runs again. What raises counts as no."""
        return True

    def __stands__(self) -> bool:
        """Returns that it may be an argument, whether it is valid or not."""
        return True

    def describe(self) -> str:
        """Returns the value's name for people, such as a path."""
        return repr(self)

    def refresh(self) -> None:
        """Makes the value stand for the same thing as that is now."""

    def get_hash(self, data: bytes | None = None) -> str:
        """Returns the hash of what is stored. One of your own is stored beside that: values of other hashes are other
        values."""
        stored = self._stored() if data is None else data
        return object_id(DEFAULT_FORMAT, "value", Encoder(DEFAULT_FORMAT).encode(stored).payload).hex()

    def _stored(self) -> Any:
        raise NotImplementedError

    def serialize(self) -> bytes:
        """Returns the value as bytes of a format of yours, which `deserialize` reads. The default is the state."""
        raise NotImplementedError

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        """Returns the value of such bytes."""
        raise NotImplementedError

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        """Returns the value that a word of the command line means.

        Raises:
            ValueError: if it means none.
        """
        raise NotImplementedError


class Value(_Common):
    """A value of a type of yours. Subclasses are stored by name and state, as any object is; they may say more.

    `type_name` is the name in stored bytes, by default module and class; with one of its own the class can be moved.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _prepare(cls)
        choose(cls, _name_of(cls), _encode_value, functools.partial(_decode_value, cls), cls)

    def __repr__(self) -> str:
        parts = (f"{name}={value!r}" for name, value in getattr(self, "__dict__", {}).items())
        return f"{type(self).__name__}({', '.join(parts)})"

    def _stored(self) -> Any:
        return _parts(self)


def _parts(value: Value) -> Any:
    """What is stored of a value: bytes, the state if that is a dict, or [state, `__new__` arguments, items, pairs]."""
    kind = type(value)
    if _is_own(kind, "serialize"):
        return _checked(kind, value.serialize())
    reduced: Any = value.__reduce_ex__(2)
    if isinstance(reduced, str) or reduced[0] is not copyreg.__newobj__:  # type: ignore[attr-defined]  # pickle's own
        raise CannotEncode(
            f"a {kind.__qualname__} has a reduce method of its own", hint="give it __getstate__ and __setstate__"
        )
    (_, *args), (state, items, pairs) = reduced[1], (*reduced[2:], None, None, None)[:3]
    if type(state) is dict and not args and items is None and pairs is None:
        return state
    return [state, args, None if items is None else list(items), None if pairs is None else [list(p) for p in pairs]]


def _checked(kind: type, data: Any) -> bytes:
    if not isinstance(data, bytes):
        raise CannotEncode(f"serialize of {kind.__qualname__} returned a {type(data).__name__}", hint="return bytes")
    return data


def _encode_value(encoder: Encoder, value: Value) -> Any:
    kind = type(value)
    encoder.code.append(kind)
    if _is_own(kind, "is_valid"):
        encoder.externals.append(value)
    return [_parts(value), value.get_hash()] if _is_own(kind, "get_hash") else [_parts(value)]


def _decode_value(cls: Any, decoder: Decoder, state: Any) -> Any:
    decoder.code.append(cls)
    parts = state[0]
    if type(parts) is bytes:
        value = cls.deserialize(cls, parts)
    elif type(parts) is dict:
        value = rebuilt(cls, [], parts, None, None)
    else:
        own, args, items, pairs = parts
        value = rebuilt(cls, args, own, items, pairs)
    if _is_own(cls, "is_valid"):
        decoder.externals.append(value)
    return value


# -- types of others --------------------------------------------------------------------------------------------------


class ProxyValue(_Common):
    """How values of a type of others are stored, where its class cannot be changed: `type` is that class, and each
    value of it, or of a subclass, is `instance` here. Without `serialize` and `deserialize` the type's own form stays.
    """

    type: ClassVar[Any] = None

    def __init__(self, instance: Any) -> None:
        self.instance = instance

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _prepare(cls)
        if cls.type is not None and "type" in vars(cls):
            _adopt(cls, cls.type)

    def __repr__(self) -> str:
        return repr(self.instance)

    def _stored(self) -> Any:
        return _checked(self.type, self.serialize()) if _is_own(self.__class__, "serialize") else self.instance


class FileCache(ProxyValue):
    """A `ProxyValue`. Nothing is gained by a `base_path`: large parts of values are files of the store as it is."""

    base_path: ClassVar[str | None] = None


def _adopt(cls: Any, kind: Any) -> None:
    if not isinstance(kind, type) or kind in _FIXED:
        raise CodecError(f"{cls.__qualname__}: values of {kind!r} have a form that stays", hint="make a class of yours")
    name = _name_of(cls)
    own = None if _is_own(cls, "serialize") else find_handler(kind)
    PROXIES[kind] = cls
    choose(kind, name, functools.partial(_encode_proxied, cls, own), functools.partial(_decode_proxied, cls), cls)
    # as what stands for something outside it is a value by itself, which knows whether it holds
    register(cls, f"{name}.proxy", lambda _, proxy: proxy.instance, lambda _, state: cls(state))


def _finder(kind: type) -> Handler | None:
    for base in kind.__mro__[1:-1]:
        if base in PROXIES:
            return HANDLERS[base]
    return None


FINDERS.insert(0, _finder)


def _encode_proxied(cls: Any, own: Handler | None, encoder: Encoder, instance: Any) -> Any:
    encoder.code.append(cls)
    proxy = cls(instance)
    if _is_own(cls, "is_valid"):
        encoder.externals.append(proxy)
    parts: list[Any] = [Ready(own(encoder, instance)) if own is not None else _checked(cls, proxy.serialize())]
    if type(instance) is not cls.type and own is None:
        parts.append(codes.qualified_name(type(instance)))
    return [*parts, {"hash": proxy.get_hash()}] if _is_own(cls, "get_hash") else parts


def _decode_proxied(cls: Any, decoder: Decoder, state: Any) -> Any:
    decoder.code.append(cls)
    instance = state[0]
    if _is_own(cls, "serialize"):
        named = len(state) > 1 and type(state[1]) is str
        instance = cls.deserialize(codes.lookup(state[1]) if named else cls.type, instance)
    if _is_own(cls, "is_valid"):
        decoder.externals.append(cls(instance))
    return instance
