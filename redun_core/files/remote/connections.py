"""Filesystems of fsspec: found by scheme, loaded when first wanted, told what the settings say, and leased.

Libraries that speak through an event loop share one instance among all threads. The others (ssh, ftp) speak over one
connection that only one thread may use at a time: they are leased, and kept for the next one.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import unquote

from redun.core.errors import RedunError, RemoteFileError, TaskError
from redun.core.files.remote.options import current, options_of
from redun.core.files.remote.problems import problem_of
from redun.core.files.remote.sftp import sftp_class
from redun.core.files.remote.urls import HOSTED, WEB, scheme_of, without_secrets

T = TypeVar("T")

#: Scheme -> the extra that installs its library.
EXTRAS: Final = {
    "s3": "s3",
    "gs": "gs",
    "az": "az",
    "abfs": "az",
    "abfss": "az",
    "http": "http",
    "https": "http",
    "sftp": "sftp",
    "smb": "smb",
}
#: Schemes of fsspec that are no places of files: views of other filesystems, and this machine's own.
_NO_PLACES: Final = frozenset(
    {
        "async_wrapper", "asynclocal", "asyncwrapper", "blockcache", "cached", "dir", "file", "filecache", "generic",
        "libarchive", "local", "pyscript", "reference", "simplecache", "tar", "zip",
    }
)  # fmt: skip
#: Seconds between one attempt and the next.
WAITS: Final = (0.2, 1.0)


class Place(NamedTuple):
    """A filesystem, and a path as that takes it."""

    fs: Any
    path: str


def known_schemes() -> list[str]:
    """Returns the schemes that fsspec knows, or those of the extras where it is not installed."""
    try:
        from fsspec import available_protocols
    except ImportError:
        return sorted(EXTRAS)
    return sorted(set(available_protocols()) - _NO_PLACES)


def library_of(scheme: str, path: str) -> Any:
    """Returns the class of fsspec for a scheme.

    Raises:
        TaskError: if there is none, or what it needs is not installed.
    """
    try:
        from fsspec import get_filesystem_class
    except ImportError:
        raise _missing(scheme, path, "fsspec is not installed") from None
    if scheme in _NO_PLACES:
        raise _unknown(scheme, path)
    try:
        return sftp_class() if scheme == "sftp" else get_filesystem_class(scheme)
    except ValueError:
        raise _unknown(scheme, path) from None
    except ImportError as error:
        raise _missing(scheme, path, str(error)) from None


def _unknown(scheme: str, path: str) -> TaskError:
    return TaskError(
        f"File({without_secrets(path)!r}): there is no filesystem for {scheme}://",
        hint=f"known are {', '.join(known_schemes())}; a local path has no ://",
    )


def _missing(scheme: str, path: str, why: str) -> TaskError:
    extra = EXTRAS.get(scheme)
    hint = f"pip install 'redun-core[{extra or 'files'}]'" + ("" if extra else ", and the library that is named")
    return TaskError(f"File({without_secrets(path)!r}): {scheme}:// needs a library: {why}", hint=hint)


def attempt(url: str, doing: str, action: Callable[[Place], T]) -> T:
    """Returns what an action on a filesystem returns; failures that may pass are tried again twice.

    Args:
        doing: what is tried, as in "cannot {doing} {url}".

    Raises:
        OSError: if it fails: FileNotFoundError where the server says that there is no such file, RemoteFileError where
            that is not to be told.
        TaskError: if there is no filesystem for the URL.
    """
    for wait in (*WAITS, None):
        try:
            with lease(url) as place:
                return action(place)
        except Exception as error:
            problem = _problem(error, url, doing)
            if wait is None or not isinstance(problem, RemoteFileError) or not problem.passing:
                if problem is error:
                    raise
                raise problem from None  # it says what the library said, which needs many frames for that
        time.sleep(wait)
    raise AssertionError  # the last attempt returns or raises


def _problem(error: Exception, url: str, doing: str) -> Exception:
    return error if isinstance(error, RedunError) else problem_of(error, url, doing)


@contextlib.contextmanager
def lease(url: str) -> Iterator[Place]:
    """Gives a filesystem for a URL to the calling thread meanwhile. After an error a connection is not used again.

    Raises:
        TaskError: if there is no filesystem for the URL.
        ConfigError: if its options cannot be had.
        Exception: whatever the library raises when it connects.
    """
    scheme = scheme_of(url)
    library = library_of(scheme, url)
    path = path_of(url, library)
    arguments = _arguments(library, scheme, url)
    if library.async_impl or scheme == "memory":
        fs = library(**arguments)
        fs.dircache.use_listings_cache = False  # what was listed a moment ago may have changed
        yield Place(fs, path)
        return
    key = (scheme, repr(sorted(arguments.items(), key=lambda item: item[0])))
    fs = _IDLE.take(key) or library(**arguments, skip_instance_cache=True)
    fs.dircache.use_listings_cache = False
    _set_timeout(fs)
    try:
        yield Place(fs, path)
    except FileNotFoundError:
        _IDLE.give(key, fs)
        raise
    except BaseException:
        _IDLE.drop(key)  # the others may be as old
        raise
    _IDLE.give(key, fs)


class _Idle:
    """Connections that nobody uses just now. A forked process does not speak on those of its parent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Any, list[Any]] = {}

    def take(self, key: Any) -> Any:
        with self._lock:
            kept = self._kept.get(key)
            return kept.pop() if kept else None

    def give(self, key: Any, fs: Any) -> None:
        with self._lock:
            self._kept.setdefault(key, []).append(fs)

    def drop(self, key: Any) -> None:
        with self._lock:
            self._kept.pop(key, None)

    def forget(self) -> None:
        """Leaves the connections to the process that made them: closing them here would end them there."""
        _LEFT.append(self._kept)
        self._lock = threading.Lock()
        self._kept = {}


_IDLE: Final = _Idle()
_LEFT: Final[list[Any]] = []
os.register_at_fork(after_in_child=_IDLE.forget)


def path_of(url: str, library: Any) -> str:
    """Returns the path of a URL as its filesystem takes it."""
    scheme, rest = scheme_of(url), url.partition("://")[2]
    if scheme in WEB:
        return url
    if scheme in HOSTED:
        return f"/{rest.partition('/')[2]}"
    if scheme == "memory":
        return f"/{rest}"
    if scheme == "s3":
        return rest
    return str(library._strip_protocol(url))


def _arguments(library: Any, scheme: str, url: str) -> dict[str, Any]:
    timeout = current().timeout
    named = library._get_kwargs_from_urls(url)
    if scheme in HOSTED:  # a path may hold what a URL has no path after
        named = _of_host(url)
    found = {**_timeouts(scheme, timeout), **named}
    for name, value in options_of(scheme).items():
        ours = found.get(name)
        found[name] = {**ours, **value} if isinstance(ours, dict) and isinstance(value, dict) else value
    return found


def _of_host(url: str) -> dict[str, Any]:
    user, _, host = url.partition("://")[2].partition("/")[0].rpartition("@")
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, ""
    found: dict[str, Any] = {"host": name.strip("[]")}
    if port:
        found["port"] = int(port) if port.isdigit() else port
    if user:
        found["username"] = unquote(user)
    return found


def _timeouts(scheme: str, seconds: int) -> dict[str, Any]:
    """How each library is told to wait no longer."""
    if scheme == "s3":
        return {"config_kwargs": {"connect_timeout": seconds, "read_timeout": seconds, "retries": {"max_attempts": 2}}}
    if scheme in WEB:
        from aiohttp import ClientTimeout

        waits = ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
        return {"client_kwargs": {"timeout": waits, "trust_env": True}}
    if scheme == "sftp":
        return {"timeout": seconds, "banner_timeout": seconds, "auth_timeout": seconds}
    return {"timeout": seconds} if scheme == "ftp" else {}


def _set_timeout(fs: Any) -> None:
    """An open channel of ssh waits for ever unless told otherwise."""
    channel = getattr(getattr(fs, "ftp", None), "get_channel", None)
    if channel is not None:
        channel().settimeout(current().timeout)
