"""URLs of files: one spelling each, and no secrets in them, for paths are stored and printed."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from redun.core.concealed import MASK
from redun.core.errors import TaskError

#: Schemes that are other names of one.
ALIASES: Final = {"s3a": "s3", "gcs": "gs", "ssh": "sftp"}
#: Ports that need not be said.
_PORTS: Final = {"http": "80", "https": "443", "ftp": "21", "sftp": "22"}
#: Schemes whose URLs name a host first and then a path on it, as a disk has paths.
HOSTED: Final = frozenset({"ftp", "sftp", "smb", "webhdfs", "hdfs"})
WEB: Final = frozenset({"http", "https"})
#: Parameters of a URL that let whoever has it in.
_SIGNED: Final = re.compile(
    r"(?:^|[?&;])(X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|X-Goog-Signature|X-Goog-Credential|Signature|"
    r"sig|access_token|token|api_?key|apikey|password|passwd|secret)=([^&;#]*)",
    re.IGNORECASE,
)
_CREDENTIALS: Final = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*://[^/@?#]*?):[^/?#]*@")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def settings_of(scheme: str) -> str:
    """Returns the name of the table of settings that a scheme has."""
    return {"https": "http", "abfs": "az", "abfss": "az"}.get(scheme, scheme)


def scheme_of(path: str) -> str:
    """Returns the scheme of a URL in lower case, under the name that it goes by; empty where the path is no URL."""
    scheme, found, _ = path.partition("://")
    if not found:
        return ""
    scheme = scheme.lower()
    return ALIASES.get(scheme, scheme)


def without_secrets(url: str) -> str:
    """Returns a URL for people: passwords and signatures in it are masked."""
    url = _CREDENTIALS.sub(rf"\1:{MASK}@", url)
    return _SIGNED.sub(lambda found: found[0][: len(found[0]) - len(found[2])] + MASK, url)


def canonical(url: str) -> str:
    """Returns the one spelling of the URL of a file: the same file by another spelling is the same file.

    Scheme and host are in lower case, the usual port is left out, as are the fragment of a web page, and `.`, `..` and
    doubled slashes where paths are those of a disk. Keys of object stores are left as they are.

    Raises:
        TaskError: if a secret stands in it, or a character that has no place in a URL.
    """
    if _CREDENTIALS.match(url):
        raise TaskError(
            f"a password stands in the URL {without_secrets(url)}",
            hint="paths are stored and printed; say it in the settings, as "
            f"[files.{settings_of(scheme_of(url))}] of redun.toml, or as the library takes it from the environment",
        )
    scheme, _, rest = url.partition("://")
    scheme = ALIASES.get(scheme.lower(), scheme.lower())
    if found := _SIGNED.search(rest.partition("?")[2]):
        raise TaskError(
            f"a secret ({found[1]}) stands in the URL {without_secrets(url)}",
            hint="paths are stored and printed, and such a URL ends some day; name the file without it, and say who "
            f"you are in the settings, as [files.{settings_of(scheme)}] of redun.toml",
        )
    if _CONTROL.search(url):
        raise TaskError(f"the URL {url!a} has a control character in it", hint="write it as %0A or the like")
    return f"{scheme}://{_rest(scheme, rest)}"


def _rest(scheme: str, rest: str) -> str:
    if scheme == "memory":
        return posixpath.normpath(f"/{rest}").lstrip("/")
    if scheme in WEB:
        rest = rest.partition("#")[0]
        end = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
        after = rest[end:]
        return _host(scheme, rest[:end]) + (after if after[:1] == "/" else f"/{after}")
    if scheme in HOSTED:
        host, _, path = rest.partition("/")
        return _host(scheme, host) + posixpath.normpath(f"/{path.lstrip('/')}")
    return rest.rstrip("/")


def _host(scheme: str, netloc: str) -> str:
    user, mark, host = netloc.rpartition("@")
    name, colon, port = host.partition(":") if not host.startswith("[") else _bracketed(host)
    port = "" if port == _PORTS.get(scheme) else port
    return f"{user}{mark}{name.lower()}{colon if port else ''}{port}"


def _bracketed(host: str) -> tuple[str, str, str]:
    """An IPv6 address, and its port."""
    name, end, rest = host.partition("]")
    return name + end, rest[:1], rest[1:]
