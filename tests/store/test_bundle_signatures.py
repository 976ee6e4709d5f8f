"""Signatures of bundles: what they prove, and what is refused."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from redun.core.errors import RemoteError, StoreDamaged, StoreError
from redun.store import Store, packs, restore
from redun.store.sync.bundles import Verified
from redun.store.sync.signing import Signers, key_text, public_key, read_signers, signer, write_signers
from tests.store.moves import run

PLAIN = NoEncryption()


def written(
    path: Path,
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    form: PrivateFormat = PrivateFormat.OpenSSH,
    lock: KeySerializationEncryption = PLAIN,
) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, form, lock))
    return path


@pytest.fixture
def ada(tmp_path: Path) -> Path:
    """A private key, as ssh-keygen writes it."""
    return written(tmp_path / "ada", ed25519.Ed25519PrivateKey.generate())


def public(path: Path) -> bytes:
    return signer(path)(b"")[0]


@pytest.fixture
def one(tmp_path: Path) -> Store:
    store = Store.init(tmp_path / "one")
    run(store, 1)
    return store


@pytest.fixture
def two(tmp_path: Path) -> Store:
    return Store.init(tmp_path / "two")


def bundle(store: Store, key: Path | None) -> bytes:
    stream = io.BytesIO()
    store.sync.create_bundle(stream, sign=None if key is None else signer(key))
    return stream.getvalue()


def verified(store: Store, data: bytes) -> Verified:
    return store.sync.verify_bundle(io.BytesIO(data))


def hashed(data: bytes) -> bytes:
    """The bundle with a hash of its own that fits."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def require(store: Store, *keys: Path, required: bool = True) -> None:
    assert store.path is not None
    write_signers(store.path, Signers({public(key): key.name for key in keys}, required))


def test_a_signature_tells_who_made_it(one: Store, two: Store, ada: Path) -> None:
    data = bundle(one, ada)
    signed = verified(two, data).signed
    assert signed is not None
    assert (signed.key, signed.name) == (public(ada), "")
    require(two, ada, required=False)
    assert verified(two, data).signed == (public(ada), "ada", True)
    assert verified(two, bundle(one, None)).signed is None


def test_where_signatures_are_required_others_are_refused(one: Store, two: Store, ada: Path, tmp_path: Path) -> None:
    eve = written(tmp_path / "eve", ed25519.Ed25519PrivateKey.generate())
    require(two, ada)
    for key, words in ((None, "is not signed"), (eve, "does not count here")):
        for use in (two.sync.unbundle, two.sync.verify_bundle):
            with pytest.raises(RemoteError, match=words):
                use(io.BytesIO(bundle(one, key)))
    path = tmp_path / "h.bundle"
    one.sync.create_bundle(path)
    with pytest.raises(RemoteError, match="is not signed"):
        two.sync.pull(str(path))
    assert (two.refs(), list(two.objects())) == ({}, [])
    two.sync.unbundle(io.BytesIO(bundle(one, ada)))
    assert len(two.refs()) == 1
    assert list(two.check(level=4)) == []


def test_what_was_changed_after_it_was_signed_is_refused(one: Store, two: Store, ada: Path) -> None:
    data = bundle(one, ada)
    for place in range(60, len(data) - 32, 17):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises((RemoteError, StoreError)):
            two.sync.unbundle(io.BytesIO(hashed(bytes(changed))))
    at = len(data) - 32 - 17 - 97  # hash, end, signature
    assert data[at : at + 1] == b"s"
    for place in (at + 5, at + 50, at + 90):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(RemoteError, match="does not fit"):
            two.sync.unbundle(io.BytesIO(hashed(bytes(changed))))
    assert two.refs() == {}


def test_nothing_goes_on_after_a_signature_and_a_backup_has_none(tmp_path: Path, ada: Path) -> None:
    for purpose, words in (("bundle", "after its signature"), ("backup", "no entry begins")):
        stream = io.BytesIO()
        writer = packs.Writer(stream, packs.Header(Store.memory().format, purpose, bytes(16), 0))
        writer.sign(signer(ada))
        writer.row(packs.Row("refs", b"pins/x", b"v"))
        writer.end()
        stream.seek(0)
        take = Store.memory().sync.unbundle if purpose == "bundle" else partial(restore, path=tmp_path / "r")
        with pytest.raises(StoreDamaged, match=words):
            take(stream)


def test_keys_are_those_of_ssh_and_others_are_said_to_be_none(tmp_path: Path, ada: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    found, name = public_key(f"{line} ada@laptop\n")
    assert (key_text(found), name) == (line, "ada@laptop")
    assert public(written(tmp_path / "pem", key, PrivateFormat.PKCS8)) == found
    for text in ("", "ssh-rsa AAAA", "ssh-ed25519 !", "ssh-ed25519 AAAA", line[:-4]):
        with pytest.raises(StoreError, match="no public key"):
            public_key(text)
    locked = BestAvailableEncryption(b"word")
    cases = {
        "has a passphrase": written(tmp_path / "locked", key, PrivateFormat.PKCS8, locked),
        "is no key of ed25519": written(tmp_path / "ec", ec.generate_private_key(ec.SECP256R1())),
        "cannot read": tmp_path / "missing",
        "is no private key": tmp_path / "text",
    }
    cases["is no private key"].write_text("words")
    for words, path in cases.items():
        with pytest.raises(StoreError, match=words):
            signer(path)


def test_a_list_of_signers_that_cannot_be_read_is_no_empty_one(two: Store) -> None:
    assert two.path is not None
    (two.path / "signers").write_text("# ours\nrequired\n")
    assert read_signers(two.path) == Signers({}, required=True)
    (two.path / "signers").write_text("requred\n")
    with pytest.raises(StoreError, match="no public key"):
        two.sync.unbundle(io.BytesIO())


def test_without_the_library_a_signature_is_not_checked_unless_somebody_counts(
    one: Store, two: Store, ada: Path, tmp_path: Path
) -> None:
    (tmp_path / "b").write_bytes(bundle(one, ada))
    two.close()
    program = """
import sys
sys.modules["cryptography"] = None
from redun.core.errors import LibraryMissing
from redun.store import Store
with Store.open(sys.argv[1]) as store:
    try:
        print(store.sync.verify_bundle(sys.argv[2]).signed.is_checked)
    except LibraryMissing as error:
        print(error.hint)
"""
    words = [sys.executable, "-c", program, tmp_path / "two", tmp_path / "b"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "False\n"
    write_signers(tmp_path / "two", Signers({bytes(32): "ada"}))
    assert "redun-core[sign]" in subprocess.run(words, capture_output=True, text=True, check=True).stdout
