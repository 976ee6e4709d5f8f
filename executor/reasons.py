"""Why a job was not answered from the cache: from what was decided then (`Why`, and the call it is compared with) to
what a person wants to know: which function, which argument and where in it, which file.

Read from the store alone; nothing is instantiated and no user code runs. Nothing here is on the path of a run unless a
reason is asked for.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from redun.core import limits
from redun.core.digest import Digest
from redun.core.display import Fetch, show
from redun.core.errors import NotFound
from redun.core.expression_table import Table
from redun.core.forms import printable
from redun.core.objects import CallRecord, Outcome, TaskRecord, TreeRecord, Why
from redun.executor.code_changes import CodeChange, code_changes
from redun.executor.known import Known
from redun.executor.member_changes import member_changes
from redun.executor.value_changes import ValueChange, differences
from redun.executor.value_contents import code_names, files_in
from redun.store.indexes.held_files import held_sets

#: Names listed of what a result needs.
_LISTED: Final = 20
#: Characters of each side of a change on one line, and changes named there.
_SHORT: Final = 60
_NAMED: Final = 3
#: Members of a set of files that are told.
_MEMBERS: Final = 20
#: Calls looked at for who wrote a file again.
_SEARCHED: Final = 300
#: Callers kept in memory.
_CALLERS: Final = 64


class Site(NamedTuple):
    """Where a job is called: an earlier call of its caller, and how many calls of the same task the caller makes before
    it now."""

    caller: Digest
    place: int


class _Caller(NamedTuple):
    """An earlier call of a caller, and which of its children are calls of which task."""

    record: CallRecord
    places: dict[str, list[int]]


Stale: TypeAlias = tuple[tuple[Digest, Digest | None], ...]


class Miss(NamedTuple):
    """A job that was not answered from the cache, as its row and call say it.

    Attributes:
        why, compared: as in its row.
        task, args: as in its call.
        stale: as in its row.
        off_by: what switched the cache off, for people; empty where it was on, or that is not known.
        site: where it is called, where that is known.
    """

    why: Why
    compared: Digest | None
    task: Digest
    args: tuple[Digest, ...]
    stale: Stale = ()
    off_by: str = ""
    site: Site | None = None


def called(expression: bytes | None, call: CallRecord) -> dict[str, list[int]]:
    """Returns which children of a call, by number, are calls of which task, as its reduction has them."""
    places: dict[str, list[int]] = {}
    if expression is not None:
        table = Table(expression)
        for place, number in zip(range(len(call.children)), table.calls(), strict=False):
            places.setdefault(table.node(number)[1], []).append(place)
    return places


#: Options that can switch the cache off.
_SWITCHES: Final = ("cache", "cache_scope", "allowed_cache_results", "prov")


def switched_off(options: Mapping[str, Any]) -> str:
    """Returns which options switch the cache off, as they are written; empty where none does."""
    found = [(name, options[name]) for name in _SWITCHES if name in options]
    return ", ".join(f"{name}={getattr(value, 'name', value)!r}" for name, value in found)


def off_at_call(options: str) -> str:
    """Returns what is said of options (see `switched_off`) that a call gave."""
    return f"{options} in the options of the call"


class ArgumentChange(NamedTuple):
    """An argument that differs.

    Attributes:
        name: of the parameter.
        old, new: ids of the values; None where the code of that time had no such parameter.
        changes: the first places inside it that differ; `more`: there are more.
    """

    name: str
    old: Digest | None
    new: Digest | None
    changes: tuple[ValueChange, ...] = ()
    more: bool = False

    def text(self, limit: int = _SHORT) -> str:
        """Returns it on one line."""
        if not self.changes:
            return (
                f"args[{self.name!r}] {'is new' if self.old is None else 'is gone' if self.new is None else 'differs'}"
            )
        others = len(self.changes) - 1
        more = " and more" if self.more else f" and {others} more" if others else ""
        return self.changes[0].text(limit) + more


class FileChange(NamedTuple):
    """A file of the earlier result that was not as that result has it.

    Attributes:
        path: of the file.
        state: `missing`, `changed`, `unreadable`, or `added` (to a directory or another set); `more`: files of a set,
            which the path names, of which so many more are not as they were.
        old, new: hashes of the content: in the earlier result, and when the job was looked up. None where there was no
            file, or it could not be read.
        by: the task that gave it the later content, in the earlier call of the same caller; empty where none did.
    """

    path: str
    state: str
    old: str | None
    new: str | None
    by: str = ""

    def text(self) -> str:
        """Returns it on one line."""
        old = "missing" if self.old is None else self.old[:8]
        if self.state == "missing":
            return f"{self.path} is missing (was {old})"
        if self.state == "unreadable":
            return f"{self.path} could not be read (was {old})"
        if self.state == "added":
            return f"{self.path} was added"
        if self.state == "more":
            return f"{self.old} more files of {self.path}"
        later = f", written again by {self.by}" if self.by else ""
        return f"content of {self.path}: {old} -> {'missing' if self.new is None else self.new[:8]}{later}"


class Reason(NamedTuple):
    """Why a job was not answered from the cache.

    Attributes:
        why: as in its row.
        compared: the earlier call that it is compared with: the one of its row, or a nearer one.
        code, arguments, files: what differs, as far as the reason is of that sort.
        detail: what else there is to say, safe to print.
        added: whether its caller makes more calls of the task than in the earlier call of it, and this is one of those.
        gone: whether the earlier call is in the store no more: nothing keeps it when the execution that made it goes.
    """

    why: Why
    compared: Digest | None
    code: tuple[CodeChange, ...] = ()
    arguments: tuple[ArgumentChange, ...] = ()
    files: tuple[FileChange, ...] = ()
    detail: str = ""
    added: bool = False
    gone: bool = False

    def text(self) -> str:
        """Returns it on one line."""
        parts = []
        if self.code or self.why is Why.CODE:
            parts.append(_listed("code changed", [change.text() for change in self.code]))
        if self.arguments or self.why is Why.ARGUMENT:
            title = "one more call of it than before; compared with the nearest" if self.added else "argument changed"
            parts.append(_listed(title, [change.text() for change in self.arguments]))
        if self.files or self.why is Why.EXTERNAL:
            files = [change.text() for change in self.files]
            parts.append(_listed(_TEXTS[Why.EXTERNAL], files, all_told=len(files) < limits.STALE_NAMED))
        if not parts:
            parts.append(_TEXTS[self.why])
        if self.gone and self.why in _TOLD_BY_CALL:
            parts.append("the earlier call is no longer in the store")
        return "; ".join(parts) + (f": {self.detail}" if self.detail else "")


_TEXTS: Final[Mapping[Why, str]] = {
    Why.NONE: "it was not looked up",
    Why.FIRST: "no earlier call of this task",
    Why.CODE: "code changed",
    Why.ARGUMENT: "argument changed",
    Why.EXTERNAL: "its earlier result does not hold",
    Why.MISSING: "its earlier result was not kept, or is missing from the store",
    Why.UNDECODABLE: "its earlier result cannot be read by the code of now",
    Why.OFF_TASK: "the cache is off for this call",
    Why.OFF_RUN: "the cache is off for this run",
    Why.UNKNOWN_CODE: "its code cannot be verified",
    Why.SUPERSEDED: "its earlier result was replaced by another since",
    Why.CONTEXT: "it was computed in another context",
    Why.ERROR: "it failed last time",
    Why.AWAITED: "what it awaited came out differently",
}


#: Of these there was an earlier call (a conversion of the store leaves out what names one that is gone); of these it
#: says more.
_HAS_CALL: Final = frozenset({Why.CODE, Why.ARGUMENT, Why.ERROR})
_TOLD_BY_CALL: Final = _HAS_CALL | {Why.UNDECODABLE}


def _listed(title: str, parts: list[str], *, all_told: bool = True) -> str:
    if not parts:
        return title
    more = ""
    if len(parts) > _NAMED:
        more = f"; and {len(parts) - _NAMED} more" if all_told else "; and many more"
    return f"{title}: {'; '.join(parts[:_NAMED])}{more}"


class Reasons:
    """Finds reasons in one store.

    Args:
        fetch: reads an object: its kind and payload.
        known: tells the recorded calls of a task with these arguments.
    """

    def __init__(self, fetch: Fetch, known: Known) -> None:
        self._fetch = fetch
        self._known = known
        self._code: dict[tuple[Digest, Digest], tuple[CodeChange, ...]] = {}
        self._tasks: dict[Digest, TaskRecord | None] = {}
        #: Callers of jobs, which may have many thousand children each of which asks for its own.
        self._callers: dict[Digest, _Caller | None] = {}

    def reason(self, miss: Miss) -> Reason:
        """Returns why a job was not answered from the cache. What is missing from the store is left out of it."""
        compared = self._call(miss.compared)
        gone = compared is None and (miss.compared is not None or miss.why in _HAS_CALL)
        if miss.why in (Why.CODE, Why.ARGUMENT) and compared is not None:
            added = miss.why is Why.ARGUMENT and self._is_added(miss)
            digest, compared = self._nearest(miss, compared)
            code = self._code_changes(compared.task, miss.task) if compared.task != miss.task else ()
            arguments = self.argument_changes(compared, miss.task, miss.args)
            if compared.task == miss.task and not arguments:
                code = tuple(self._classes(miss.args))
            return Reason(miss.why, digest, code, arguments, added=added)
        if miss.why is Why.EXTERNAL:
            # what is the same now as then is no file: a state of a handle, or a secret
            left = ", ".join(self._shown(before) for before, then in miss.stale if before == then)
            detail = f"{left} is not valid any more" if left else ""
            files = [self._written_again(change, miss) for change in self._files(miss.stale)]
            return Reason(miss.why, miss.compared, files=tuple(files), detail=detail, gone=gone)
        return Reason(miss.why, miss.compared, detail=self._detail(miss, compared), gone=gone)

    def _detail(self, miss: Miss, compared: CallRecord | None) -> str:
        if miss.why in (Why.OFF_TASK, Why.OFF_RUN):
            return miss.off_by
        if miss.why is Why.UNKNOWN_CODE:
            return self._doubts(miss.task)
        if compared is None:
            return ""
        if miss.why is Why.ERROR:
            return self._shown(compared.result)
        if miss.why is Why.UNDECODABLE:
            return self._named_in(compared)
        if miss.why is Why.MISSING and compared.outcome is Outcome.PARTIAL:
            return "it had not ended"
        return ""

    # -- the earlier call ---------------------------------------------------------------------------------------------

    def _nearest(self, miss: Miss, recorded: CallRecord) -> tuple[Digest | None, CallRecord]:
        """The earlier call that says most: the run knows but some of a task's calls. One of the same arguments under
        the earlier code, else the one that was made at this place before."""
        if recorded.args == miss.args:
            return miss.compared, recorded
        if recorded.task != miss.task:
            for digest in self._known(recorded.task, miss.args):
                call = self._call(digest)
                if call is not None and (call.task, call.args) == (recorded.task, miss.args):
                    return digest, call
        found = self._at_site(miss)
        if found is not None and _shared(found[1], miss) >= _shared(recorded, miss):
            return found
        return miss.compared, recorded

    def _at_site(self, miss: Miss) -> tuple[Digest, CallRecord] | None:
        """The call of this task that its caller made at the same place before."""
        caller = None if miss.site is None else self._caller(miss.site.caller)
        if caller is None or miss.site is None:
            return None
        places = caller.places.get(self._name(miss.task) or "", ())
        digest = caller.record.children[places[miss.site.place]] if miss.site.place < len(places) else None
        call = self._call(digest)
        if digest is None or call is None or self._name(call.task) != self._name(miss.task):
            return None
        return (digest, call) if miss.why is Why.CODE or call.task == miss.task else None

    def _is_added(self, miss: Miss) -> bool:
        caller = None if miss.site is None else self._caller(miss.site.caller)
        if caller is None or miss.site is None:
            return False
        return miss.site.place >= len(caller.places.get(self._name(miss.task) or "", ()))

    def _caller(self, digest: Digest) -> _Caller | None:
        if digest not in self._callers:
            if len(self._callers) == _CALLERS:
                self._callers.clear()
            record = self._call(digest)
            places = {} if record is None else called(self._payload(record.reduction, "expr"), record)
            self._callers[digest] = None if record is None else _Caller(record, places)
        return self._callers[digest]

    def _name(self, task: Digest) -> str | None:
        record = self._task(task)
        return None if record is None else record.fullname

    # -- code and arguments -------------------------------------------------------------------------------------------

    def _code_changes(self, old: Digest, new: Digest) -> tuple[CodeChange, ...]:
        found = self._code.get((old, new))
        if found is None:
            found = self._code[old, new] = code_changes(old, new, self._fetch)
        return found

    def argument_changes(self, old: CallRecord, task: Digest, args: tuple[Digest, ...]) -> tuple[ArgumentChange, ...]:
        """Returns the arguments that differ from those of an earlier call, by the names of the parameters."""
        if old.args == args:
            return ()
        before, after = self._bound(old.task, old.args), self._bound(task, args)
        names = [*after, *(name for name in before if name not in after)]
        pairs = ((name, before.get(name), after.get(name)) for name in names)
        return tuple(self._argument(name, was, now) for name, was, now in pairs if was != now)

    def _argument(self, name: str, old: Digest | None, new: Digest | None) -> ArgumentChange:
        shown = printable(name)
        before, after = self._payload(old, "value"), self._payload(new, "value")
        if before is None or after is None:
            return ArgumentChange(shown, old, new)
        return ArgumentChange(shown, old, new, *differences(f"args[{shown!r}]", before, after, self._fetch))

    def _bound(self, task: Digest, args: tuple[Digest, ...]) -> dict[str, Digest]:
        """The arguments by the names of the parameters, or by number where the task is missing."""
        record = self._task(task)
        names = [] if record is None else [name for name, _ in record.params]
        values = list(self._listed(args)) if len(args) == 1 else list(args)
        if len(names) != len(values):
            names = [str(number) for number in range(len(values))]
        return dict(zip(names, values, strict=True))

    def _listed(self, args: tuple[Digest, ...]) -> Iterator[Digest]:
        """The arguments themselves, also where a tree lists them."""
        for digest in args:
            payload = self._payload(digest, "tree")
            if payload is None:
                yield digest
            else:
                yield from self._listed(TreeRecord.parse(payload).children)

    # -- what is in values --------------------------------------------------------------------------------------------

    def _classes(self, args: tuple[Digest, ...]) -> Iterator[CodeChange]:
        """The classes and functions that arguments carry: their code is in the key, and all else is equal."""
        payloads = [self._payload(digest, "value") for digest in self._listed(args)]
        for name in dict.fromkeys(name for payload in payloads for name in code_names(payload, self._fetch)):
            yield CodeChange("carried", printable(name.replace(":", ".", 1)), "changed")

    def _named_in(self, compared: CallRecord) -> str:
        """What the code of now must have to read a result: its classes, or the tasks that it calls."""
        payload = self._answer(compared)
        names = code_names(payload, self._fetch)
        if payload is not None and compared.reduction is not None:
            names += [node[1] for node in Table(payload).nodes() if node[0] == 0]
        named = ", ".join(dict.fromkeys(printable(name.replace(":", ".", 1)) for name in names[:_LISTED]))
        return f"it needs {named}" if named else ""

    def _answer(self, call: CallRecord) -> bytes | None:
        """The payload of what the body of a call returned."""
        if call.reduction is not None:
            return self._payload(call.reduction, "expr")
        return self._payload(call.result, "value")

    def _files(self, stale: Stale) -> Iterator[FileChange]:
        """The files of an earlier result that were not as it has them."""
        for before, then in stale:
            yield from self._members(before, then)
            old = files_in(self._payload(before, "value"), self._fetch)
            new = files_in(self._payload(then, "value"), self._fetch)
            for path, content in old.items():
                now = new.get(path)
                state = "unreadable" if then is None else "missing" if now is None else "changed"
                yield FileChange(printable(path), state, _hex(content), _hex(now))

    def _written_again(self, change: FileChange, miss: Miss) -> FileChange:
        """The change with the task that made it, where the job's caller had that done to the file when it was done."""
        if change.state != "changed" or miss.site is None:
            return change
        stack = [miss.site.caller]
        for _ in range(_SEARCHED):
            call = self._call(stack.pop()) if stack else None
            if call is None:
                continue
            if call.reduction is None and self._has(call.result, change):
                given = any(self._has(arg, change) for arg in self._listed(call.args))
                return change if given else change._replace(by=printable(self._name(call.task) or ""))
            stack += [child for child in call.children if child is not None]
        return change

    def _has(self, value: Digest | None, change: FileChange) -> bool:
        """Whether a value holds a file with its later content."""
        found = files_in(self._payload(value, "value"), self._fetch)
        return any(printable(path) == change.path and _hex(state) == change.new for path, state in found.items())

    def _members(self, before: Digest, then: Digest | None) -> Iterator[FileChange]:
        """The members of a set of files of an earlier result that were not as it has them."""
        old = held_sets(self._payload(before, "value") or b"")
        if old and then is None:
            yield FileChange(printable(old[0].base), "unreadable", None, None)
            return
        for was, now in zip(old, held_sets(self._payload(then, "value") or b""), strict=False):
            found = member_changes(was, now, lambda digest: self._payload(digest, "value"))
            for path, earlier, later in found[:_MEMBERS]:
                state = "added" if earlier is None else "missing" if later is None else "changed"
                yield FileChange(printable(path), state, _hex(earlier), _hex(later))
            if len(found) > _MEMBERS:
                yield FileChange(printable(was.base), "more", f"{len(found) - _MEMBERS:,}", None)

    # -- text ---------------------------------------------------------------------------------------------------------

    def _shown(self, digest: Digest | None) -> str:
        payload = self._payload(digest, "value")
        return "" if payload is None else show(payload, self._fetch, limit=2 * _SHORT)

    def _doubts(self, task: Digest) -> str:
        record = self._task(task)
        if record is None:
            return ""
        lines = [(use.name, use.detail) for use in record.uses if use.how == "untracked"]
        own = [detail for name, detail in lines if name == record.fullname]
        return printable("; ".join(own or [f"{name} {detail}" for name, detail in lines[:_NAMED]]))

    # -- reading ------------------------------------------------------------------------------------------------------

    def _call(self, digest: Digest | None) -> CallRecord | None:
        payload = self._payload(digest, "call")
        return None if payload is None else CallRecord.parse(payload)

    def _task(self, digest: Digest) -> TaskRecord | None:
        if digest not in self._tasks:
            payload = self._payload(digest, "task")
            self._tasks[digest] = None if payload is None else TaskRecord.parse(payload)
        return self._tasks[digest]

    def _payload(self, digest: Digest | None, kind: str) -> bytes | None:
        if digest is None:
            return None
        try:
            found, payload = self._fetch(digest)
        except NotFound:
            return None
        return bytes(payload) if found == kind else None


def _shared(call: CallRecord, miss: Miss) -> int:
    return sum(old == new for old, new in zip(call.args, miss.args, strict=False))


def _hex(content: bytes | None) -> str | None:
    return None if content is None else content.hex()
