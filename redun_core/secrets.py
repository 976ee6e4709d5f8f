"""Secrets: values that bodies may read and that no store, screen or log ever holds.

In a store stands a digest keyed with a random key of that store (docs/decisions/0007-secrets.md): it tells two values
apart, for the cache, and nothing else. The value itself lives in the memory of the process that was given it.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

from redun.core.adapters.registry import register
from redun.core.concealed import KNOWN, MASK, remember_texts
from redun.core.decoding import Decoder
from redun.core.errors import CannotDecode, CannotEncode, TaskError
from redun.core.expressions import Expression
from redun.core.values import Encoder

T = TypeVar("T")

_UNKNOWN: Final = object()


class Secret(Generic[T]):
    """A value that is never stored and never printed: a token, a password, a key.

        @task()
        def fetch(url: str, token: Secret[str]) -> str:
            return get(url, headers={"Authorization": f"Bearer {token.reveal()}"})

    It may be an argument, part of one, or part of a result. In the store stands a keyed digest of the value. A result
    that holds a secret whose value this process was not given is not used: the task runs again and makes it anew.

    What a body does with the revealed value is its own: what it returns, writes or prints is no secret any more.
    """

    __slots__ = ("_digest", "_value")

    def __init__(self, value: T) -> None:
        if isinstance(value, (Expression, Secret)):
            raise TaskError(
                f"Secret(...) takes a value, not a {'secret' if isinstance(value, Secret) else 'lazy one'}",
                hint="let the task that knows the value return the Secret",
            )
        self._value: Any = value
        self._digest = b""
        remember_texts(value)

    def reveal(self) -> T:
        """Returns the value.

        Raises:
            CannotDecode: if this process was not given it: it was given to an earlier run, and never stored.
        """
        if self._value is _UNKNOWN:
            self._value = _recalled(self._digest)
        found: T = self._value
        return found

    @property
    def value(self) -> T:
        """The value, as `reveal` returns it."""
        return self.reveal()

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self._value is _UNKNOWN and other._value is _UNKNOWN:
            return self._digest == other._digest
        return bool(self.is_valid() and other.is_valid() and self.reveal() == other.reveal())

    def __hash__(self) -> int:
        return hash(Secret)  # one for all: a hash of the value would tell of it

    # -- as an external value: its process is the outside -------------------------------------------------------------

    def is_valid(self) -> bool:
        """Returns whether this process knows the value."""
        return self._value is not _UNKNOWN or self._digest in KNOWN

    def describe(self) -> str:
        """Returns what it is, for people."""
        return "a secret"

    def refresh(self) -> None:
        """Does nothing: only the task that made it can make it again."""


class Hidden:
    """An argument that is recorded as a secret is, and that the body gets as it was: `redun run --no-record-args`."""

    __slots__ = ("digest", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.digest = b""
        remember_texts(value)

    def __repr__(self) -> str:
        return MASK


def _concealed(encoder: Encoder, value: Any, kind: bytes) -> bytes:
    if encoder.secret_key is None:
        raise CannotEncode(
            "a secret has no place here: the text of the code is stored",
            hint="give it as an argument of a call, not as a default or in hash_includes",
        )
    from hashlib import blake2b  # it loads OpenSSL, which takes 3 ms of every start

    aside = Encoder(encoder.format)  # what the value consists of goes nowhere
    payload = aside.encode(value).payload
    hasher = blake2b(payload, key=encoder.secret_key(), digest_size=32, person=kind)
    for _, part in aside.objects.values():
        hasher.update(part)
    digest = hasher.digest()
    KNOWN[digest] = payload, aside.objects
    return digest


def _recalled(digest: bytes) -> Any:
    known = KNOWN.get(digest)
    if known is None:
        raise CannotDecode(
            "the value of a secret is not known: it was given to an earlier run and never stored",
            hint="give it again, or let the task that makes it run: redun run --no-cache",
        )
    payload, objects = known
    return Decoder(objects.__getitem__).decode(payload)


def _encode_secret(encoder: Encoder, secret: Secret[Any]) -> bytes:
    encoder.externals.append(secret)
    return secret._digest if secret._value is _UNKNOWN else _concealed(encoder, secret._value, b"redun.secret")


def _decode_secret(decoder: Decoder, state: Any) -> Secret[Any]:
    secret: Secret[Any] = Secret.__new__(Secret)
    secret._digest = state
    secret._value = _UNKNOWN
    decoder.externals.append(secret)
    return secret


def _encode_hidden(encoder: Encoder, hidden: Hidden) -> bytes:
    return hidden.digest or _concealed(encoder, hidden.value, b"redun.hidden")


def _decode_hidden(decoder: Decoder, state: Any) -> Any:
    if not decoder.veiled:
        return _recalled(state)
    hidden = Hidden(None)
    hidden.digest = state
    return hidden


register(Secret, "redun.secret", _encode_secret, _decode_secret)
register(Hidden, "redun.hidden", _encode_hidden, _decode_hidden)
