"""The writer: batches beside the run, in order, and no error lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from redun.core.digest import XXH3_128, Digest
from redun.core.errors import StoreReadOnly
from redun.core.frame import object_id
from redun.executor.writer import Writer
from redun.store import Batch, Store


def _batch(text: bytes) -> tuple[Digest, Batch]:
    digest = object_id(XXH3_128, "source", text)
    return digest, Batch({digest: ("source", text)})


def test_what_was_written_is_stored_when_the_writer_has_finished():
    with Store.memory() as store:
        writer = Writer(store)
        batches = [_batch(b"text %d" % number) for number in range(50)]
        for _, batch in batches:
            writer.write(batch)
        writer.finish()
        assert all(store.has(digest) for digest, _ in batches)


def test_objects_on_their_way_can_be_read():
    with Store.memory() as store:
        writer = Writer(store)
        digest, batch = _batch(b"text")
        writer.write(batch)
        assert writer.objects[digest] == ("source", b"text") or store.has(digest)
        writer.finish()
        assert writer.objects == {}


def test_the_error_of_a_batch_is_raised_by_the_next_call(tmp_path: Path):
    Store.init(tmp_path / "store").close()
    with Store.open(tmp_path / "store", read_only=True) as store:
        writer = Writer(store)
        writer.write(_batch(b"one")[1])
        with pytest.raises(StoreReadOnly):
            writer.write(_batch(b"two")[1])
        writer.finish()
        writer.write(_batch(b"three")[1])
        with pytest.raises(StoreReadOnly):
            writer.finish()


def test_a_writer_that_wrote_nothing_has_nothing_to_finish():
    with Store.memory() as store:
        Writer(store).finish()
