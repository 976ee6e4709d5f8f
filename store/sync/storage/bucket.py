"""A bucket, or what lies below a name in it: reading, listing, creating and swapping. Every wait is bounded, and every
failure is a `RemoteError` in words."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import IO, Any, Final, NamedTuple

from redun.core import limits
from redun.core.errors import RemoteError

#: Seconds for one attempt to reach it; for the answer to a small request; for a request with all the bytes of a pack;
#: and after which a request is not tried again.
_CONNECT_S = 10.0
_ANSWER_S = 20.0
_TRANSFER_S = 120.0
_RETRYING_S: Final = 30
_RETRIES: Final = 3
#: What the names of endpoints are in the environment.
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_OWN_CREDENTIALS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_SMALL_BYTES: Final = 64 * limits.KIB
#: Larger ones go in parts, which may be sent again one by one.
_IN_PARTS: Final = 64 * limits.MIB
_EXTRA: Final = "pip install 'redun-core[object-storage]'"
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
#: What a server says in one word, and what that means.
_MEANINGS: Final = {
    "NoSuchBucket": ("there is no such bucket", "make the bucket, or correct the URL"),
    "InvalidAccessKeyId": ("the access key is not known there", "look at AWS_ACCESS_KEY_ID"),
    "SignatureDoesNotMatch": ("the secret key is wrong", "look at AWS_SECRET_ACCESS_KEY"),
    "ExpiredToken": ("the credentials have expired", "get new ones"),
    "AccessDenied": ("access is denied", "the credentials that are used may not do that"),
    "PermanentRedirect": ("the bucket is in another region", "set AWS_REGION"),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", "set AWS_REGION"),
}
#: Where each kind of storage looks for credentials.
_CREDENTIALS: Final = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; profiles and logins are found where boto3 is installed",
    "gs": "gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or az login and AZURE_USE_AZURE_CLI=true",
}


class Read(NamedTuple):
    """Bytes, and the tag that they had when they were read."""

    data: bytes
    tag: str


class Listed(NamedTuple):
    """A name below a prefix, and how many bytes lie there."""

    name: str
    size: int


class Bucket:
    """What lies below a name in a bucket.

    Args:
        store: obstore's.
        name: what errors call it.
        patient: the same, for requests of many bytes, which may take longer.
        credentials: where it looks for credentials.

    Attributes:
        requests: how many were made, attempts again aside.
    """

    def __init__(self, store: Any, name: str, patient: Any = None, *, credentials: str = "") -> None:
        import obstore  # an extra; nothing else needs it

        self._obstore: Any = obstore
        self._errors = (obstore.exceptions.BaseError, OSError, ValueError)
        self._store = store
        self._patient = patient or store
        self._credentials = credentials
        self.name = name
        self.requests = 0

    def read(self, path: str, most: int) -> Read | None:
        """Returns what lies under a name, or None.

        Raises:
            RemoteError: if it cannot be read, or has more bytes than may be.
        """
        self.requests += 1
        try:
            found = self._obstore.get(self._patient if most > _SMALL_BYTES else self._store, path)
            if found.meta["size"] > most:
                raise self.error(f"{path} has {found.meta['size']:,} bytes")
            return Read(bytes(found.bytes()), str(found.meta["e_tag"]))
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._told(error, "read from") from None
            return None
        except self._errors as error:
            raise self._told(error, "read from") from None

    def ranges(self, path: str, starts: Sequence[int], ends: Sequence[int]) -> list[bytes]:
        """Returns parts of what lies under a name.

        Raises:
            RemoteError: if they cannot be read, or are not there.
        """
        self.requests += 1
        try:
            parts = [bytes(part) for part in self._obstore.get_ranges(self._patient, path, starts=starts, ends=ends)]
        except FileNotFoundError:
            raise self.error(
                f"{path} is missing",
                hint="somebody has removed it: push to another place in the bucket, from where its objects are",
            ) from None
        except self._errors as error:
            raise self._told(error, "read from") from None
        if [len(part) for part in parts] != [end - start for start, end in zip(starts, ends, strict=True)]:
            raise self.error(f"{path} is cut off")
        return parts

    def create(self, path: str, data: bytes) -> bool:
        """Writes under a name that is free; returns whether it was.

        Raises:
            RemoteError: if it cannot be written; it may have been.
        """
        return self._put(path, data, "create")

    def swap(self, path: str, data: bytes, tag: str) -> bool:
        """Writes in the place of what had a tag; returns whether it still had.

        Raises:
            RemoteError: if it cannot be written; it may have been.
        """
        return self._put(path, data, {"e_tag": tag})

    def _put(self, path: str, data: bytes, mode: Any) -> bool:
        self.requests += 1
        try:
            store = self._patient if len(data) > _SMALL_BYTES else self._store
            self._obstore.put(store, path, data, mode=mode, use_multipart=False)
        except (self._obstore.exceptions.AlreadyExistsError, self._obstore.exceptions.PreconditionError):
            return False
        except self._errors as error:
            raise self._told(error, "write to") from None
        return True

    def upload(self, path: str, source: IO[bytes], size: int) -> None:
        """Writes a file under a name that its content has made, so that what is there already is the same.

        Raises:
            RemoteError: if it cannot be written.
        """
        if size <= _IN_PARTS:
            self.create(path, source.read())
            return
        self.requests += 2 + size // (8 * limits.MIB)
        try:
            self._obstore.put(self._patient, path, source, chunk_size=8 * limits.MIB, max_concurrency=4)
        except self._errors as error:
            raise self._told(error, "write to") from None

    def names(self, prefix: str) -> list[Listed]:
        """Returns what lies below a name.

        Raises:
            RemoteError: if it cannot be listed.
        """
        try:
            found = []
            for chunk in self._obstore.list(self._store, f"{prefix}/", chunk_size=1_000):
                self.requests += 1
                found += [Listed(str(meta["path"]), int(meta["size"])) for meta in chunk]
        except self._errors as error:
            raise self._told(error, "list") from None
        if not found:
            self.requests += 1
        return found

    # -- errors -------------------------------------------------------------------------------------------------------

    def error(self, why: str, *, hint: str = "") -> RemoteError:
        """Returns an error that names the bucket."""
        return RemoteError(f"{self.name}: {why}", remote=self.name, hint=hint)

    def _told(self, error: Exception, doing: str) -> RemoteError:
        """Returns what obstore says, without its debugging."""
        said = str(error).split("\n\nDebug source", 1)[0]
        code = _CODE.search(said)
        meaning = _MEANINGS.get(code[1]) if code else None
        if meaning is not None:
            return self.error(meaning[0], hint=meaning[1])
        if "TimedOut" in str(error) or "timed out" in str(error):
            return self.error("the server does not answer", hint="what has arrived is kept: do it again later")
        if "error sending request" in said or "Connect" in str(error):
            where = re.search(r"https?://[^/\s]+", said)
            return self.error(f"{where[0] if where else 'the server'} cannot be reached", hint="look at the endpoint")
        if "credential" in said.lower() or "169.254.169.254" in said or "metadata" in said.lower():
            return self.error("there are no credentials for it", hint=self._credentials)
        if isinstance(error, self._obstore.exceptions.PermissionDeniedError) or "403" in said:
            return self.error("access is denied", hint=self._credentials)
        if isinstance(error, self._obstore.exceptions.UnauthenticatedError):
            return self.error("the credentials are refused", hint=self._credentials)
        if isinstance(error, FileNotFoundError):
            return self.error("there is no such bucket", hint="make the bucket, or correct the URL")
        return self.error(f"cannot {doing} it: {' '.join(said.split())[:300]}")


def opened(url: str, name: str) -> Bucket:
    """Returns the bucket of a URL. Credentials and endpoints are taken from the environment, as obstore does, and for
    s3:// from what boto3 finds where that is installed.

    Raises:
        RemoteError: if obstore is not installed, or makes nothing of the URL.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise RemoteError(f"{name} is object storage, which needs a library", remote=name, hint=_EXTRA) from None
    config: dict[str, Any] = {}
    client: dict[str, Any] = {"connect_timeout": timedelta(seconds=_CONNECT_S)}
    retrying: Any = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRYING_S)}
    endpoint = endpoint_of(url)
    extra: dict[str, Any] = {}
    if endpoint:
        config["aws_endpoint_url"] = endpoint
        if endpoint.startswith("http://"):
            client["allow_http"] = True  # who names such an endpoint means it
    if url.startswith("s3:"):
        provider = _boto3_credentials()
        if provider is not None:
            extra["credential_provider"] = provider
    credentials = _CREDENTIALS.get(url.partition(":")[0], "")
    stores = []
    make: Any = from_url  # declared once for each scheme
    try:
        for seconds in (_ANSWER_S, _TRANSFER_S):
            client["timeout"] = timedelta(seconds=seconds)
            stores.append(make(url, config=config or None, client_options=client, retry_config=retrying, **extra))
    except (BaseError, OSError, TypeError, ValueError) as error:
        raise RemoteError(f"{name}: {str(error).splitlines()[0]}", remote=name, hint=credentials) from None
    return Bucket(stores[0], name, stores[1], credentials=credentials)


def endpoint_of(url: str) -> str:
    """Returns the endpoint that the environment names for a URL, empty where it is the cloud's own."""
    if not url.startswith("s3:"):
        return ""
    return next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")


def _boto3_credentials() -> Any:
    """Returns what gives credentials where the environment has none and boto3, which knows of files, profiles and
    logins, has some."""
    if any(os.environ.get(name) for name in _OWN_CREDENTIALS):
        return None
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider

        session = boto3.Session()
        return None if session.get_credentials() is None else Boto3CredentialProvider(session)
    except Exception:  # noqa: BLE001 - whatever is wrong with boto3 or its files: obstore says what it lacks
        return None
