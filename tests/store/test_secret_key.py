from __future__ import annotations

import stat
from pathlib import Path
from threading import Thread

import pytest

from redun.core.errors import StoreDamaged
from redun.store import Store
from redun.store.secret_key import secret_key


def test_a_store_keeps_one_key_that_its_owner_alone_may_read(tmp_path: Path):
    with Store.init(tmp_path / "s") as store:
        key = secret_key(store)
        assert len(key) == 32
        assert secret_key(store) == key
    with Store.open(tmp_path / "s") as store:
        assert secret_key(store) == key
    with Store.open(tmp_path / "s", read_only=True) as store:
        assert secret_key(store) == key
    assert stat.S_IMODE((tmp_path / "s" / "secret.key").stat().st_mode) == 0o600
    assert (tmp_path / "s" / "secret.key").read_bytes() == key


def test_no_key_is_made_before_there_is_a_secret(tmp_path: Path):
    Store.init(tmp_path / "s").close()
    with Store.open(tmp_path / "s", read_only=True) as store:
        assert len(secret_key(store)) == 32
    assert not (tmp_path / "s" / "secret.key").exists()


def test_two_stores_have_two_keys(tmp_path: Path):
    with Store.init(tmp_path / "a") as one, Store.init(tmp_path / "b") as other, Store.memory() as third:
        assert len({secret_key(one), secret_key(other), secret_key(third)}) == 3
        assert secret_key(third) == secret_key(third)


def test_of_many_that_make_a_key_all_get_the_same(tmp_path: Path):
    Store.init(tmp_path / "s").close()
    stores = [Store.open(tmp_path / "s") for _ in range(8)]
    keys: set[bytes] = set()
    threads = [Thread(target=lambda store=store: keys.add(secret_key(store))) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert keys == {(tmp_path / "s" / "secret.key").read_bytes()}
    assert [path.name for path in (tmp_path / "s").iterdir() if path.is_file() and path.stat().st_size == 32] == [
        "secret.key"
    ]


def test_a_file_that_is_no_key_is_damage_with_a_way_out(tmp_path: Path):
    with Store.init(tmp_path / "s") as store:
        (tmp_path / "s" / "secret.key").write_bytes(b"short")
        with pytest.raises(StoreDamaged, match=r"does not hold a key \(remove .*secret.key: another is made"):
            secret_key(store)
