"""Signatures of bundles, by ed25519: who has made this file? Keys are those of ssh (`ssh-keygen -t ed25519`).

Whose signatures count here is said in the file `signers` of the store, one key a line as in `id_ed25519.pub`. A line
`required` says that no bundle without one of theirs is taken in.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import binascii
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from redun.core.errors import LibraryMissing, RemoteError, StoreError
from redun.store.filesystem import translated, write_whole
from redun.store.packs import Signature

#: What is signed is that, and the SHA-256 of all bytes before the signature: no key signs the same for another purpose.
_PURPOSE: Final = b"redun bundle 1\0"
_KIND: Final = "ssh-ed25519"
#: A public key as ssh writes it: two texts, each after its length.
_FRONT: Final = b"\0\0\0\x0b" + _KIND.encode() + b"\0\0\0\x20"
_KEY_BYTES: Final = 32
FILE: Final = "signers"
_REQUIRED: Final = "required"
_HINT: Final = "ssh-keygen -t ed25519 -N '' -f FILE makes a key; FILE.pub is its public part"
_NO_LIBRARY: Final = "pip install 'redun-core[sign]'"

#: Returns the public key, and the signature of some bytes.
Sign = Callable[[bytes], tuple[bytes, bytes]]


class Signers(NamedTuple):
    """Whose signatures count: names by public key, and whether one of them is required."""

    names: Mapping[bytes, str]
    required: bool = False


NOBODY: Final = Signers({})


def key_text(key: bytes) -> str:
    """Returns a public key as ssh writes it."""
    return f"{_KIND} {b64encode(_FRONT + key).decode()}"


def public_key(text: str) -> tuple[bytes, str]:
    """Returns the key and the name in a line as in `id_ed25519.pub`.

    Raises:
        StoreError: if it is none.
    """
    kind, _, rest = text.strip().partition(" ")
    encoded, _, name = rest.strip().partition(" ")
    try:
        data = b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if kind != _KIND or not data.startswith(_FRONT) or len(data) != len(_FRONT) + _KEY_BYTES:
        raise StoreError(f"no public key of ed25519: {text.strip()!r:.60}", hint=_HINT)
    return data[len(_FRONT) :], name.strip()


# -- whose count ------------------------------------------------------------------------------------------------------


def read_signers(directory: Path | None) -> Signers:
    """Returns whose signatures count in a store.

    Raises:
        StoreError: if the file that says so cannot be read, or has what is neither a key nor `required`.
    """
    if directory is None:
        return NOBODY
    path = directory / FILE
    with translated(path):
        try:
            text = path.read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return NOBODY
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    names = dict(public_key(line) for line in lines if line != _REQUIRED)
    return Signers(names, _REQUIRED in lines)


def write_signers(directory: Path, signers: Signers) -> None:
    """Says whose signatures count in a store from now on.

    Raises:
        StoreFull, StoreReadOnly: if there is no room, or no permission.
    """
    lines = [f"{key_text(key)} {name}".strip() for key, name in signers.names.items()]
    text = "".join(f"{line}\n" for line in [*lines, *([_REQUIRED] if signers.required else [])])
    with translated(directory / FILE):
        write_whole(directory / FILE, text)


# -- signing and checking ---------------------------------------------------------------------------------------------


def signer(path: str | os.PathLike[str]) -> Sign:
    """Returns what signs with the private key in a file.

    Raises:
        StoreError: if there is none in it, or one that needs a passphrase.
        LibraryMissing: if the library that signs is not there.
    """
    name = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {name}: {error.strerror}", path=name, hint=_HINT) from error
    key = _private_key(data, name)
    public = key.public_key().public_bytes_raw()
    return lambda message: (public, key.sign(_PURPOSE + message))


def _private_key(data: bytes, name: str) -> Any:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
    except ImportError as error:
        raise LibraryMissing("bundles are signed by the library cryptography", hint=_NO_LIBRARY) from error
    load = load_ssh_private_key if b"OPENSSH" in data[:64] else load_pem_private_key
    try:
        key = load(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        locked = "pass" in str(error).lower() and "private" not in str(error).lower()
        what = "has a passphrase" if locked or isinstance(error, TypeError) else "is no private key"
        raise StoreError(f"{name} {what}", path=name, hint=_HINT) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{name} is no key of ed25519", path=name, hint=_HINT)
    return key


class Signed(NamedTuple):
    """What is known of a signature: its public key, the name of that key here, and whether it could be checked."""

    key: bytes
    name: str
    is_checked: bool


def check(signature: Signature | None, signers: Signers, bundle: str) -> Signed | None:
    """Checks the signature of a bundle; returns whose it is, or None where there is none and none is required.

    Where the library is missing and nobody's signature counts, nothing would come of a check.

    Raises:
        RemoteError: if it does not fit, or one is required and it is not of anybody who counts.
        LibraryMissing: if it has to be checked and the library is not there.
    """
    if signature is None:
        if signers.required:
            raise RemoteError(
                f"{bundle} is not signed, and this store requires it",
                remote=bundle,
                hint="redun bundle create --sign KEY; or redun bundle signers --optional here",
            )
        return None
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        if not signers.names and not signers.required:
            return Signed(signature.key, "", False)
        told = f"the signature of {bundle} is checked by the library cryptography"
        raise LibraryMissing(told, hint=_NO_LIBRARY) from error
    try:
        Ed25519PublicKey.from_public_bytes(signature.key).verify(signature.value, _PURPOSE + signature.digest)
    except (InvalidSignature, ValueError):
        raise RemoteError(
            f"the signature of {bundle} does not fit", remote=bundle, hint="somebody has changed it: take another copy"
        ) from None
    if signers.required and signature.key not in signers.names:
        raise RemoteError(
            f"{bundle} is signed by {key_text(signature.key)}, whose signature does not count here",
            remote=bundle,
            hint="redun bundle signers --add KEY.pub, if you know whose it is",
        )
    return Signed(signature.key, signers.names.get(signature.key, ""), True)
