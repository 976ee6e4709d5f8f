"""What crosses between a run and its far workers: requests to run jobs, and their answers, as bytes.

A request is for jobs of one task. It names the task, its fingerprint and where its code is loaded from, and has the
arguments as values are stored; nothing of it is pickled. An answer has results and errors as values, with the objects
that they need. Both are msgpack. Secrets stand apart from the rest: they are never written
to a file, which a large body is.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from redun.core.codec import Pointer, pack, unpack
from redun.core.digest import Digest
from redun.core.errors import InternalError
from redun.executor.pools import spool

_VERSION: Final = 1

#: Kind and payload.
Item: TypeAlias = tuple[str, bytes]
#: Objects by id.
Objects: TypeAlias = dict[Digest, Item]
#: Digest of a secret -> its value's bytes and the objects that these need.
Secrets: TypeAlias = dict[bytes, tuple[bytes, Objects]]

#: What an outcome is: a leaf of msgpack's own types, any other value, an expression, an error of the body, an error of
#: the store that ends the run.
LEAF: Final = 0
VALUE: Final = 1
EXPRESSION: Final = 2
ERROR: Final = 3
FATAL: Final = 4


class Message(bytes):
    """Bytes that log files and error messages do not show: arguments are in them."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    __str__ = __repr__


class Setup(NamedTuple):
    """What a worker has to know of a run, the same in all its requests.

    Attributes:
        object_format: how values are named.
        path: where modules are looked for.
        directory: the working directory.
        own_packages: packages whose code counts as the user's own.
        store: the directory of the store, which the worker may read; empty: all that is needed comes along.
        secret_key: the key that secrets are hashed with; empty: it lies beside the store.
        spool: a directory for messages that are large; empty: there is none.
        storage: what the libraries of remote files are told, as `redun.core.files.remote.options` writes it.
    """

    object_format: str
    path: list[str]
    directory: str
    own_packages: list[str]
    store: str
    secret_key: bytes
    spool: str
    storage: str


class Callee(NamedTuple):
    """A task: its full name, its module, the file that this was loaded from where importing it by name does not find
    it (else empty), the package that this file is of (where `python -m` started it; else empty), and its fingerprint.
    """

    fullname: str
    module: str
    file: str
    package: str
    fingerprint: bytes


class Call(NamedTuple):
    """One job: its arguments in the order of the parameters, each the payload of a value or a pointer to one; the
    fingerprints of the user's own code among them; the modules that they need; its key, of which the states of handles
    are made that it returns; and whether the bytes of files that it returns are kept."""

    args: list[bytes | Pointer]
    code: list[bytes]
    modules: list[str]
    key: bytes
    archive: bool


class Request(NamedTuple):
    """What a worker is asked: to run these calls of a task. `setup` is a packed `Setup`; `tells`: whether it is to say
    when it begins."""

    setup: bytes
    tells: bool
    callee: Callee
    calls: list[Call]
    objects: Objects
    secrets: Secrets


class Outcome(NamedTuple):
    """What became of one call.

    Attributes:
        kind: LEAF, VALUE, EXPRESSION, ERROR or FATAL.
        payload: bytes of the value, of the `expr` object, or of the error's value.
        plain: whether nothing in it has to be looked at: it holds neither things outside nor code.
        objects: (kind, payload) of what it points to.
        blobs: (id, size) of blobs that the worker has written to the store's files.
        modules: modules that the classes and functions in it are from.
        traces: payloads of the tracebacks of an error and of its causes.
        age: nanoseconds from the begin of the body to the sending of the answer.
        duration: nanoseconds that the body took.
        nested, unkept: as in `Answer`.
    """

    kind: int
    payload: bytes
    plain: bool
    objects: list[Item]
    blobs: list[tuple[bytes, int]]
    modules: list[str]
    traces: list[bytes]
    age: int
    duration: int
    nested: bool
    unkept: str


class Response(NamedTuple):
    """A worker's answer: one outcome a call, what it learned of files (rows of the stat memo by path), and the secrets
    that are in the results."""

    outcomes: list[Outcome]
    stats: dict[str, tuple[int, int, int, int, bytes]]
    secrets: Secrets


def pack_setup(setup: Setup) -> bytes:
    """Returns the bytes of a setup."""
    return pack(list(setup))


def unpack_setup(data: bytes) -> Setup:
    """Returns the setup of those bytes."""
    return Setup(*unpack(data))


def pack_request(request: Request, directory: str) -> Message:
    """Returns the bytes of a request; a large one is kept in a file of that directory, and the bytes say where."""
    callee, calls = list(request.callee), [list(call) for call in request.calls]
    body = pack([request.setup, callee, calls, _pairs(request.objects)])
    return Message(_wrapped([request.tells, _sealed(request.secrets)], body, directory))


def tells(data: bytes) -> bool:
    """Returns whether a worker is to say when it begins with a request."""
    return bool(_head(data)[1])


def unpack_request(data: bytes) -> Request:
    """Returns the request of those bytes. A file that it was kept in is removed.

    Raises:
        InternalError: if another version of redun made it.
        OSError: if the file is gone.
    """
    _, told, secrets, *rest = _head(data)
    setup, callee, calls, objects = unpack(spool.taken(rest))
    return Request(setup, told, Callee(*callee), [Call(*call) for call in calls], _objects(objects), _unsealed(secrets))


def pack_response(response: Response, directory: str) -> Message:
    """Returns the bytes of an answer; as with requests, a large one is kept in a file."""
    body = pack([[list(map(_plain, outcome)) for outcome in response.outcomes], _plain(response.stats)])
    return Message(_wrapped([False, _sealed(response.secrets)], body, directory))


def unpack_response(data: bytes) -> Response:
    """Returns the answer of those bytes. A file that it was kept in is removed.

    Raises:
        InternalError: if another version of redun made it.
        OSError: if the file is gone.
    """
    _, _, secrets, *rest = _head(data)
    outcomes, stats = unpack(spool.taken(rest))
    return Response(
        [Outcome(*outcome) for outcome in outcomes],
        {path: tuple(row) for path, row in stats.items()},
        _unsealed(secrets),
    )


def _wrapped(head: list[Any], body: bytes, directory: str) -> bytes:
    return pack([_VERSION, *head, *spool.kept(body, directory)])


def _head(data: bytes) -> list[Any]:
    head: list[Any] = unpack(bytes(data))
    if head[0] != _VERSION:
        raise InternalError(f"a message of version {head[0]!r}", hint="install the same redun for the workers")
    return head


def _plain(part: Any) -> Any:
    """Named tuples and tuples as msgpack's strict packer takes them."""
    if isinstance(part, (list, tuple)):
        return [_plain(item) for item in part]
    if isinstance(part, dict):
        return {key: _plain(value) for key, value in part.items()}
    return part


def _pairs(objects: Objects) -> list[Any]:
    return [[digest, *item] for digest, item in objects.items()]


def _objects(rows: list[Any]) -> Objects:
    return {digest: (kind, payload) for digest, kind, payload in rows}


def _sealed(secrets: Secrets) -> list[Any]:
    return [[digest, payload, _pairs(objects)] for digest, (payload, objects) in secrets.items()]


def _unsealed(rows: list[Any]) -> Secrets:
    return {digest: (payload, _objects(objects)) for digest, payload, objects in rows}
