"""What differs between two fingerprints of a task: its own text, and what it uses, piece by piece.

Read from the store alone. Code is compared in its normal form, which is what decides: a comment or a blank line is no
change.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Iterable, Mapping
from difflib import unified_diff
from typing import Final, NamedTuple

from redun.core.digest import Digest
from redun.core.display import Fetch, show
from redun.core.errors import CodecError, NotFound, RedunError
from redun.core.forms import printable, printable_lines, short_id
from redun.core.objects import SourceRecord, TaskRecord, Use
from redun.core.uses import signature_text
from redun.executor.value_changes import ValueChange, differences

#: Uses whose target is text of code.
_TEXTS: Final = ("function", "class", "text")
_SHOWN: Final = 80


class CodeChange(NamedTuple):
    """One piece of code that differs; all text is safe to print.

    Attributes:
        what: `own` (the task's own text), `function`, `class`, `text` (of a constant that has no encoding), `constant`,
            `task` (what a caller sees of it), `distribution`, `untracked`, `version`, `mode` (what counts as its code),
            `option`, `parameters`, `include` (an item of `hash_includes`), `carried` (a class or function that an
            argument is made of).
        name: of what it is, such as `module.function`.
        verb: `changed`, `added` or `removed`.
        old, new: text of what is no code; None where there is none.
        diff: a unified diff of the normal forms, where it is code.
        values: the places that differ, where it is a constant.
    """

    what: str
    name: str
    verb: str
    old: str | None = None
    new: str | None = None
    diff: tuple[str, ...] = ()
    values: tuple[ValueChange, ...] = ()

    def text(self) -> str:
        """Returns it on one line."""
        if self.what == "own":
            subject = "its own text"
        elif self.what == "carried":
            subject = f"{self.name}, which an argument is made of"
        else:
            subject = f"{_TITLES.get(self.what, self.what)} {self.name}".rstrip()
        if self.verb == "added":
            return f"{subject} is new" + (f": {_cut(self.new)}" if self.new else "")
        if self.verb == "removed":
            return f"{subject} is gone" + (f": {_cut(self.old)}" if self.old else "")
        if self.values:
            change = self.values[0]
            more = f" and {len(self.values) - 1} more" if len(self.values) > 1 else ""
            return f"{_TITLES.get(self.what, self.what)} {change.text(_SHOWN)}{more}"
        if self.old is not None and self.new is not None:
            return f"{subject}: {_cut(self.old)} -> {_cut(self.new)}"
        return subject


_TITLES: Final = {
    "text": "assignment of",
    "mode": "what counts as its code",
    "include": "hash_includes",
}


def code_changes(old: Digest, new: Digest, fetch: Fetch) -> tuple[CodeChange, ...]:
    """Returns what differs between two fingerprints of a task: its own text first, then what it uses by name. Nothing
    where one of them is missing."""
    before, after = _task(old, fetch), _task(new, fetch)
    if before is None or after is None:
        return ()
    return (*_own(before, after, fetch), *use_changes(before.uses, after.uses, fetch))


def _task(digest: Digest, fetch: Fetch) -> TaskRecord | None:
    try:
        kind, payload = fetch(digest)
        return TaskRecord.parse(bytes(payload)) if kind == "task" else None
    except (NotFound, CodecError):
        return None


# -- the task itself --------------------------------------------------------------------------------------------------


def _own(old: TaskRecord, new: TaskRecord, fetch: Fetch) -> Iterable[CodeChange]:
    name = printable(new.fullname)
    if old.code != new.code:
        yield CodeChange("mode", "", "changed", old.code, new.code)
    if old.version != new.version:
        yield CodeChange("version", "", "changed", _quoted(old.version), _quoted(new.version))
    if old.text is not None and new.text is not None and old.text != new.text:
        yield CodeChange("own", name, "changed", diff=_diff(old.text, new.text, fetch))
    elif old.params != new.params:
        yield CodeChange("parameters", "", "changed", signature_text(old.params, ()), signature_text(new.params, ()))
    before, after = dict(old.interface), dict(new.interface)
    for option in sorted({*before, *after}):
        if before.get(option) != after.get(option):
            texts = _quoted(before.get(option)), _quoted(after.get(option))
            yield CodeChange("option", printable(option), "changed", *texts)
    for digest in sorted(set(old.includes) ^ set(new.includes)):
        text = _value(digest, fetch)
        gone = digest in old.includes
        yield CodeChange("include", "", "removed", old=text) if gone else CodeChange("include", "", "added", new=text)


def _quoted(text: str | None) -> str:
    return "none" if text is None else printable(repr(text))


# -- what it uses -----------------------------------------------------------------------------------------------------


def use_changes(old: Iterable[Use], new: Iterable[Use], fetch: Fetch) -> Iterable[CodeChange]:
    """Returns what differs between two lists of uses, by name."""
    before, after = _by_name(old), _by_name(new)
    for name in sorted({*before, *after}):
        earlier = [use for use in before.get(name, ()) if use not in after.get(name, ())]
        later = [use for use in after.get(name, ()) if use not in before.get(name, ())]
        if len(earlier) == len(later) == 1 and earlier[0].how == later[0].how:
            yield _changed(earlier[0], later[0], fetch)
            continue
        for use in earlier:
            diff = _diff(use.target, None, fetch) if use.how in _TEXTS else ()
            yield CodeChange(use.how, use_name(use), "removed", old=_told(use, fetch), diff=diff)
        for use in later:
            diff = _diff(None, use.target, fetch) if use.how in _TEXTS else ()
            yield CodeChange(use.how, use_name(use), "added", new=_told(use, fetch), diff=diff)


def class_uses(tasks: Iterable[TaskRecord]) -> dict[str, Use]:
    """Returns the classes and functions that tasks use, by name."""
    return {use_name(use): use for task in tasks for use in task.uses if use.how in ("class", "function")}


def carried_changes(
    changes: Iterable[CodeChange], before: Mapping[str, Use], after: Mapping[str, Use], fetch: Fetch
) -> tuple[CodeChange, ...]:
    """Returns changes without those of `carried` code that is the same in both, and with diffs of the others, where
    both have it. The key of a call has the code that its arguments carry and no record names it, so it is looked for
    among what tasks use; where nothing that is known there differs, the changes are as they were."""
    given = tuple(changes)
    found: list[CodeChange] = []
    for change in given:
        old, new = (uses.get(change.name) if change.what == "carried" else None for uses in (before, after))
        if old is None or new is None:
            found.append(change)
        elif old != new:
            found += [changed._replace(what="carried") for changed in use_changes([old], [new], fetch)]
    return tuple(found) or given


def use_name(use: Use) -> str:
    """Returns the name of a use as people write it, `module.name`, safe to print."""
    return printable(use.name.replace(":", ".", 1))


def _by_name(uses: Iterable[Use]) -> dict[str, list[Use]]:
    found: dict[str, list[Use]] = {}
    for use in uses:
        found.setdefault(use.name, []).append(use)
    return found


def _changed(old: Use, new: Use, fetch: Fetch) -> CodeChange:
    name = use_name(new)
    if new.how in _TEXTS:
        return CodeChange(new.how, name, "changed", diff=_diff(old.target, new.target, fetch))
    if new.how == "constant":
        payloads = [_payload(use.target, "value", fetch) for use in (old, new)]
        before, after = payloads
        values = () if before is None or after is None else differences(name, before, after, fetch).changes
        return CodeChange(new.how, name, "changed", _told(old, fetch), _told(new, fetch), values=values)
    return CodeChange(new.how, name, "changed", _told(old, fetch), _told(new, fetch))


def _told(use: Use, fetch: Fetch) -> str | None:
    """What there is to say of a use that is no code."""
    if use.how in _TEXTS:
        return None
    return _value(use.target, fetch) if use.how == "constant" and use.target is not None else printable(use.detail)


# -- reading ----------------------------------------------------------------------------------------------------------


def _payload(digest: Digest | None, kind: str, fetch: Fetch) -> bytes | None:
    if digest is None:
        return None
    try:
        found, payload = fetch(digest)
    except RedunError:
        return None
    return bytes(payload) if found == kind else None


def _value(digest: Digest, fetch: Fetch) -> str:
    payload = _payload(digest, "value", fetch)
    return f"<{short_id(digest)}>" if payload is None else show(payload, fetch)


def _diff(old: Digest | None, new: Digest | None, fetch: Fetch) -> tuple[str, ...]:
    before, after = (_payload(digest, "source", fetch) for digest in (old, new))
    if (before is None and old is not None) or (after is None and new is not None):
        return ()  # a text is missing: a diff with nothing would tell a lie
    return tuple(unified_diff(_lines(before), _lines(after), "earlier", "now", lineterm=""))


def _lines(payload: bytes | None) -> list[str]:
    return [] if payload is None else printable_lines(SourceRecord.parse(payload).text).split("\n")


def _cut(text: str | None) -> str:
    return "" if text is None else text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
