"""What can go wrong with remote files, as errors that name the URL: missing, refused, or not to be told.

The libraries behind the schemes each have errors of their own. Only where a server said so is a file missing: one that
cannot be reached is never taken for one that is not there.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any, Final

from redun.core.concealed import redacted
from redun.core.errors import RemoteFileDenied, RemoteFileError
from redun.core.files.remote.urls import WEB, scheme_of, settings_of, without_secrets

#: Errors of libraries that may not be installed, by the names of their classes.
_DENIED: Final = frozenset(
    {
        "AuthenticationException",
        "BadHostKeyException",
        "ClientAuthenticationError",
        "CredentialRetrievalError",
        "DefaultCredentialsError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "PasswordRequiredException",
        "RefreshError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
    }
)
_LATE: Final = frozenset(
    {"TimeoutError", "FSTimeoutError", "ConnectTimeoutError", "ReadTimeoutError", "ServerTimeoutError"}
)
_BROKEN: Final = frozenset(
    {
        "ClientOSError",
        "ClientPayloadError",
        "ConnectionClosedError",
        "ConnectionResetError",
        "BrokenPipeError",
        "EOFError",
        "IncompleteRead",
        "ResponseParserError",
        "SSHException",
        "ServerDisconnectedError",
        "error_temp",
    }
)
_NOWHERE: Final = "ClientConnectorError"
#: Errors of a place that are what they are wherever it is.
_PLAIN: Final = frozenset(
    {
        errno.EEXIST,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ENOTEMPTY,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.ENAMETOOLONG,
        errno.EROFS,
    }
)
_GONE: Final = (404, 410)
_REFUSED: Final = (401, 403, 407, 451)
_PASSING: Final = (408, 425, 429)
_CREDENTIALS_HINT: Final = (
    "credentials come from where the library of the scheme looks for them, or from [files.{}] of redun.toml"
)


def problem_of(error: BaseException, url: str, doing: str) -> OSError:
    """Returns an error of ours, or of the system's, for an error of a library.

    Args:
        doing: what was tried, as in "cannot {doing} {url}".
    """
    shown = without_secrets(url)
    if isinstance(error, RemoteFileError):
        return error
    if isinstance(error, FileNotFoundError):
        error = _behind(error, url)
    chain = list(_chain(error))
    status = next((found for found in map(_status, chain) if found), 0)
    names = {kind.__name__ for part in chain for kind in type(part).__mro__}
    text = redacted(" ".join(_text(error).split()))[:300] or type(error).__name__
    if status in _GONE or (not status and isinstance(error, FileNotFoundError)):
        return FileNotFoundError(errno.ENOENT, "No such file", shown)
    if status in _REFUSED or isinstance(error, PermissionError) or names & _DENIED or _is_login(error):
        hint = _CREDENTIALS_HINT.format(settings_of(scheme_of(url)))
        if status == 403 and scheme_of(url) == "s3":
            hint += "; without the right to list a bucket, S3 says so of missing files, too"
        told = f"{status} {text}" if status else text
        return RemoteFileDenied(f"may not {doing} {shown}: {told}", url=shown, hint=hint)
    if isinstance(error, OSError) and error.errno in _PLAIN:
        return OSError(error.errno, error.strerror or text, shown)
    if names & _LATE:
        return RemoteFileError(
            f"cannot {doing} {shown}: no answer in time",
            url=shown,
            hint="try again; how long is waited can be set in [files] of redun.toml, as `timeout`",
        )
    # a connection that was closed meanwhile is an OSError of no number
    broken = bool(names & _BROKEN) or (type(error) is OSError and error.errno is None)
    if _NOWHERE in names:  # nobody answers at all
        broken = False
    passing = status in _PASSING or status >= 500 or broken
    why = f"the server answered {status} {text}" if status else text
    hint = "what was computed before stays as it is; try again when the server can be reached"
    return RemoteFileError(f"cannot {doing} {shown}: {why}", url=shown, hint=hint, passing=passing)


def _behind(error: FileNotFoundError, url: str) -> BaseException:
    """fsspec says of whatever happens to a request for a web page, or to a listing by FTP, that there is no such file;
    what happened stands behind it."""
    cause = error.__cause__
    if cause is None or (scheme_of(url) not in WEB and scheme_of(url) != "ftp"):
        return error
    said = scheme_of(url) in WEB or (type(cause).__module__ == "ftplib" and str(cause)[:3] != "550")
    return cause if said else error


def _text(error: BaseException) -> str:
    """What an error says; that of a request for a web page repeats the URL."""
    message = getattr(error, "message", None)
    return message if _status(error) and isinstance(message, str) else str(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen = 0
    part: BaseException | None = error
    while part is not None and seen < 5:
        yield part
        part = part.__cause__
        seen += 1


def _status(error: BaseException) -> int:
    """The status of HTTP that an error tells of, or 0."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):  # of botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = next(filter(None, (getattr(error, name, None) for name in ("status", "status_code", "code"))), None)
    if isinstance(found, str) and found.isdigit():
        found = int(found)
    return found if isinstance(found, int) and 400 <= found < 600 else 0


def _is_login(error: BaseException) -> bool:
    return type(error).__name__ == "error_perm" and str(error)[:3] in ("530", "532")
