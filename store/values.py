"""Python values in a store, for those who hold neither an encoder nor a decoder.

Importing this module loads what knows the types: classes, files, tasks, and the adapters of a library when a value of
it turns up. Decoding instantiates only what is imported already and what registered adapters make.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redun.core import classes as _classes  # noqa: F401  it adds the handlers of classes to those of values
from redun.core import tasks as _tasks  # noqa: F401  likewise
from redun.core.adapters import registry as _registry  # noqa: F401  likewise
from redun.core.decoding import Decoder, Fetch
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import CannotDecode
from redun.core.files import encoding as _files  # noqa: F401  likewise
from redun.core.values import Encoder, Item
from redun.store.batch import Batch


def encode(
    obj: Any,
    fmt: ObjectFormat,
    batch: Batch,
    write_blob: Callable[[Digest, bytes | memoryview], None],
    collision: Callable[[Digest, Item, Item], Exception],
) -> Digest:
    """Adds the objects of a value to a batch and returns the value's id. Its large leaves are written to files at once.

    Args:
        collision: makes the error for two objects of one id in the batch.

    Raises:
        CannotEncode, ValueTooDeep: as `Store.put_value`; the batch has gained nothing but what is harmless.
    """

    def write(digest: Digest, data: bytes | memoryview) -> None:
        write_blob(digest, data)
        batch.blobs[digest] = memoryview(data).nbytes

    encoder = Encoder(fmt, batch.objects)
    encoder.write_blob = write
    encoder.collision = collision
    return encoder.value(obj)


def decode(digest: Digest, fetch: Fetch) -> Any:
    """Returns the value of that id.

    Args:
        fetch: returns (kind, payload) of an object.

    Raises:
        CannotDecode, MalformedObject: as `Store.get_value`; and what `fetch` raises.
    """
    kind, payload = fetch(digest)
    if kind != "value":
        raise CannotDecode(f"{digest.hex()} is a {kind} and no value", hint="Store.get reads objects of any kind")
    return Decoder(fetch).decode(payload)
