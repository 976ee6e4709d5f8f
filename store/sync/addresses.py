"""Where a remote is: what a URL says."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from redun.core.errors import StoreError

#: `host:path`, as scp and git read it: no slash before the colon.
_SHORT: Final = re.compile(r"(?P<host>(?:[^/:@]+@)?[^/:@]+):(?P<path>.+)", re.DOTALL)
_HINT: Final = "a path, ssh://host/path, host:path or s3://bucket/prefix"
#: Object storage: of Amazon and what speaks like it, of Google, of Azure.
STORAGE: Final = ("s3", "gs", "az")


class Address(NamedTuple):
    """Where a remote is.

    Attributes:
        path: of the project or the store, there.
        host: where ssh goes, with the user before an `@` if there is one; the bucket of object storage; empty for a
            path on this machine.
        port: of ssh, None for its own choice.
        storage: scheme of object storage, empty for what is none.
    """

    path: str
    host: str = ""
    port: int | None = None
    storage: str = ""


def address_of(url: str) -> Address:
    """Returns what a URL says.

    Raises:
        StoreError: if it can be no remote's.
    """
    if not url or "\0" in url:
        raise StoreError(f"{url!r} is no URL of a remote", hint=_HINT)
    if "://" in url:
        return _of_url(url)
    short = _SHORT.fullmatch(url)
    if short is not None and not url.startswith(("/", ".")):
        return Address(short["path"], _checked(short["host"], url))
    return Address(url)


def _of_url(url: str) -> Address:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise StoreError(f"{url!r} is no URL of a remote: {error}", hint=_HINT) from None
    if parts.scheme == "file" and not parts.netloc:
        return Address(unquote(parts.path))
    if parts.scheme in STORAGE:
        return _of_storage(url, parts)
    if parts.scheme != "ssh" or not parts.hostname or parts.password is not None:
        raise StoreError(f"nothing is known of remotes like {url!r}", hint=_HINT)
    host = f"{parts.username}@{parts.hostname}" if parts.username else parts.hostname
    path = unquote(parts.path).removeprefix("/~/")  # ssh begins at home
    return Address(path or ".", _checked(host, url), port)


def _of_storage(url: str, parts: SplitResult) -> Address:
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise StoreError(
            f"the URL of a bucket says nothing but {parts.scheme}://BUCKET/PREFIX",
            hint="credentials and endpoints are taken from the environment: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL...",
        )
    words = parts.path.removeprefix("/").removesuffix("/").split("/")
    if not parts.netloc or any(word in {".", ".."} for word in words) or ("" in words and words != [""]):
        raise StoreError(f"{url!r} is no URL of a remote", hint=_HINT)
    return Address("/".join(words), _checked(parts.netloc, url), storage=parts.scheme)


def _checked(host: str, url: str) -> str:
    # A name that begins with a hyphen would be an option of ssh.
    if host.startswith("-") or "@-" in host or any(c.isspace() or not c.isprintable() for c in host):
        raise StoreError(f"{url!r} names no host", hint=_HINT)
    return host
