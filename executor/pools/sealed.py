"""Secrets that a job carries to another process and back: by digest, never in what is stored or logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from redun.core.codec import references
from redun.core.concealed import KNOWN, remember_texts
from redun.core.decoding import Decoder
from redun.core.digest import Digest
from redun.executor.pools.messages import Secrets


def gather(payloads: Iterable[bytes], fetch: Callable[[Digest], tuple[str, Any]]) -> Secrets:
    """Returns the secrets that values hold, in whatever objects their parts lie. Costs nothing where there are none in
    this process."""
    if not KNOWN:
        return {}
    found: Secrets = {}
    seen: set[Digest] = set()
    waiting = list(payloads)
    while waiting:
        payload = waiting.pop()
        for digest in list(KNOWN):
            if digest in payload and digest not in found:
                value, objects = KNOWN[digest]
                found[digest] = value, dict(objects)
        for pointer in references(payload):
            if pointer not in seen:
                seen.add(pointer)
                kind, part = fetch(pointer)
                if kind != "blob":
                    waiting.append(bytes(part))
    return found


def among(payloads: Iterable[bytes]) -> Secrets:
    """Returns the secrets that are named in these payloads themselves."""
    parts = list(payloads) if KNOWN else []
    return {
        digest: (value, dict(objects))
        for digest, (value, objects) in list(KNOWN.items())
        if any(digest in part for part in parts)
    }


def learn(secrets: Secrets) -> None:
    """Makes this process know secrets, and mask them in what it prints."""
    for digest, (payload, objects) in secrets.items():
        if digest not in KNOWN:
            KNOWN[digest] = payload, {Digest(child): item for child, item in objects.items()}
            with suppress(Exception):  # its class may not be imported here: then it is masked once it is revealed
                remember_texts(Decoder(lambda child, known=objects: known[child]).decode(payload))  # type: ignore[misc]
