"""The arguments of a task from the words of a command line.

A task's own options are made from its signature: parameter `greet` is `--greet VALUE`, read as its annotation says
(`conversions`). `*args` takes plain words, `**kwargs` any further `--name value`. Everything is checked before anything
runs. Names are matched exactly first, then with `-` for `_`; never by prefix, so a new parameter breaks no script.
"""

from __future__ import annotations

import enum
from collections.abc import Container, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from redun.cli.annotations import hints_of, holds_secret, is_flag, repeated, type_name
from redun.cli.conversions import BOOL_WORDS, Unfit, from_text, from_texts
from redun.cli.exits import UsageError
from redun.core.concealed import MASK
from redun.core.errors import TaskError
from redun.core.parameters import KEYWORD_ONLY, POSITIONAL, POSITIONAL_ONLY, VAR_KEYWORD, VAR_POSITIONAL
from redun.core.tasks import Task

_REQUIRED: Final = object()
#: Defaults whose own type tells how an unannotated parameter is read.
_TELLING: Final = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)


class Request(enum.Enum):
    """What the words after a task ask for."""

    CALL = "call"
    HELP = "help"
    INFO = "info"


class Parameter(NamedTuple):
    """One parameter of a task as the command line sees it.

    Attributes:
        name: its name.
        position: how it takes its value, as in `inspect.Parameter.kind` (`redun.core.tasks` names the numbers).
        kind: its annotation, resolved; Any without one.
        default: its default, where it has one.
    """

    name: str
    position: int
    kind: Any
    default: Any = _REQUIRED

    @property
    def has_default(self) -> bool:
        """Whether the task has a default for it."""
        return self.default is not _REQUIRED

    @property
    def required(self) -> bool:
        """Whether the command line must give it."""
        return not self.has_default and self.position not in (VAR_POSITIONAL, VAR_KEYWORD)

    @property
    def option(self) -> str:
        """How it is written."""
        return f"--{self.name}"


class Words:
    """What the words say, unread: texts by parameter, plain words, further options, in the order given; and the words
    as they may be shown."""

    __slots__ = ("extra", "options", "plain", "request", "shown")

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.options: dict[str, list[str]] = {}
        self.plain: list[str] = []
        self.extra: dict[str, list[str]] = {}
        self.request = Request.CALL


class Arguments(NamedTuple):
    """The arguments to call a task with, or that its help or its facts are wanted; and the words that gave them, as
    they may be recorded and printed."""

    request: Request
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shown: list[str]


def parameters_of(task: Task[..., Any]) -> list[Parameter]:
    """Returns the parameters of a task, annotations resolved, without those that are told of the job."""
    hints = hints_of(task.func)
    found = []
    for name, position in task.params:
        if name in task.informed:
            continue
        default = task.defaults.get(name, _REQUIRED)
        found.append(Parameter(name, position, _kind(hints.get(name, _REQUIRED), default), default))
    return found


def _kind(hint: Any, default: Any) -> Any:
    if hint is _REQUIRED:
        return type(default) if type(default) in _TELLING else Any
    if default is not None or hint is Any:
        return hint
    try:
        return hint | None
    except TypeError:  # no type: a remark, a number
        return Any


def parse_arguments(
    fullname: str,
    parameters: Sequence[Parameter],
    words: Sequence[str],
    elsewhere: Container[str] = (),
    *,
    hidden: bool = False,
) -> Arguments:
    """Returns the arguments that the words give for the parameters of the task `fullname`.

    A parameter that is not given is left out, for the task's own default to stand in. `elsewhere` holds the options of
    the command itself, so that one written in the wrong place is told its own. What is given for a parameter that may
    hold a secret, or for any where all are `hidden`, is in no message and not among the words to be shown.

    Raises:
        UsageError: for an unknown option, a missing or unreadable argument, or a word too many.
    """
    concealed = {parameter.name for parameter in parameters if hidden or holds_secret(parameter.kind)}
    found = _Reader(fullname, parameters, elsewhere, concealed).sort(list(words))
    if found.request is not Request.CALL:
        return Arguments(found.request, (), {}, list(words))
    value_of = partial(_value, fullname, concealed)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    missing: list[Parameter] = []
    for parameter in parameters:
        if parameter.position == VAR_POSITIONAL:
            args.extend(value_of(parameter, [word]) for word in found.plain)
        elif parameter.position == VAR_KEYWORD:
            kwargs.update((name, value_of(parameter, texts, option=f"--{name}")) for name, texts in found.extra.items())
        elif parameter.name in found.options:
            value = value_of(parameter, found.options[parameter.name])
            _place(parameter, value, args, kwargs, bool(found.plain))
        elif parameter.required:
            missing.append(parameter)
        elif found.plain and parameter.position != KEYWORD_ONLY:
            # Words for *args follow: what stands before them must be given by place, the default included.
            args.append(parameter.default)
    if missing:
        needed = ", ".join(f"{parameter.option} ({type_name(parameter.kind)})" for parameter in missing)
        raise UsageError(f"{fullname} needs {needed}", hint="`help` after the task shows its arguments")
    return Arguments(Request.CALL, tuple(args), kwargs, found.shown)


def _place(parameter: Parameter, value: Any, args: list[Any], kwargs: dict[str, Any], by_place: bool) -> None:
    if parameter.position == POSITIONAL_ONLY or (by_place and parameter.position == POSITIONAL):
        args.append(value)
    else:
        kwargs[parameter.name] = value


def _value(fullname: str, concealed: set[str], parameter: Parameter, texts: list[str], *, option: str = "") -> Any:
    container = repeated(parameter.kind) if parameter.position not in (VAR_POSITIONAL, VAR_KEYWORD) else None
    try:
        if container is not None:
            return from_texts(texts, container)
        return from_text(texts[-1], parameter.kind)
    except Unfit as error:
        where = parameter.name if parameter.position == VAR_POSITIONAL else option or parameter.option
        said = f"the value is no {type_name(parameter.kind)}" if parameter.name in concealed else str(error)
        raise UsageError(f"{where}: {said} ({fullname})") from None
    except TaskError as error:  # a URL that no filesystem reads
        raise UsageError(f"{option or parameter.option}: {error.message} ({fullname})", hint=error.hint) from None


class _Reader:
    """Sorts words into options and plain words, one task's parameters in hand."""

    def __init__(
        self, fullname: str, parameters: Sequence[Parameter], elsewhere: Container[str], concealed: set[str]
    ) -> None:
        self.fullname = fullname
        self.concealed = concealed
        self.elsewhere = elsewhere
        self.options = {p.name: p for p in parameters if p.position not in (VAR_POSITIONAL, VAR_KEYWORD)}
        self.takes_words = any(p.position == VAR_POSITIONAL for p in parameters)
        self.takes_options = any(p.position == VAR_KEYWORD for p in parameters)
        self.hides_words = any(p.position == VAR_POSITIONAL and p.name in concealed for p in parameters)
        self.hides_options = any(p.position == VAR_KEYWORD and p.name in concealed for p in parameters)
        self.found = Words()

    def sort(self, words: list[str]) -> Words:
        """Returns the words sorted. Raises UsageError for what belongs nowhere."""
        words.reverse()  # taken from the end, so that a long command line costs no shifting
        shown = self.found.shown
        if words and words[-1] == "--" and not self.takes_words:
            shown.append(words.pop())  # an old habit: `TASK -- --option value`
        while words:
            word = words.pop()
            if word == "--":
                shown.append(word)
                shown.extend(MASK if self.hides_words else word for word in reversed(words))
                self.found.plain.extend(reversed(words))
                break
            if word.startswith("--"):
                self._option(word, words)
            elif word == "-h" and "h" not in self.options:
                self.found.request = Request.HELP
            else:
                shown.append(MASK if self.hides_words else word)
                self.found.plain.append(word)
        self._settle()
        return self.found

    def _settle(self) -> None:
        """Decides what the plain words mean: a request, values of *args, or a mistake."""
        found = self.found
        if found.request is not Request.CALL or not found.plain:
            return
        word = found.plain[0]
        only = len(found.plain) == 1 and not (self.takes_words and (found.options or found.extra))
        if only and word in (Request.HELP.value, Request.INFO.value):
            found.request = Request(word)
        elif not self.takes_words:
            names = ", ".join(f"--{name}" for name in self.options)
            takes = f"its arguments are given by name: {names}" if names else "it takes no arguments"
            raise UsageError(f"{word!r} is one word too many for {self.fullname}", hint=takes)

    def _option(self, word: str, rest: list[str]) -> None:
        written, equals, attached = word.partition("=")
        name = self._known(written[2:])
        hides = self.hides_options if name is None else name in self.concealed
        self.found.shown.append(f"{written}={MASK}" if equals and hides else word)
        if name is not None:
            texts = self.found.options.setdefault(name, [])
            texts.append(attached if equals else self._following(written, name, rest, hides))
            if not equals and not self.takes_words and repeated(self.options[name].kind) is not None:
                while rest and not rest[-1].startswith("--"):  # `--names a b c` is `--names a --names b --names c`
                    texts.append(self._following(written, name, rest, hides))
            return
        negated = self._negated(written[2:])
        if negated is not None:
            if equals:
                raise UsageError(f"{written} takes no value ({self.fullname})", hint=f"write --{negated}={attached}")
            self.found.options.setdefault(negated, []).append("false")
        elif written == "--help":
            self.found.request = Request.HELP
        elif self.takes_options and written[2:].replace("-", "_").isidentifier():
            texts = self.found.extra.setdefault(written[2:].replace("-", "_"), [])
            texts.append(attached if equals else self._following(written, "", rest, hides))
        else:
            self._unknown(written)

    def _known(self, written: str) -> str | None:
        if written in self.options:
            return written
        name = written.replace("-", "_")
        return name if name in self.options else None

    def _negated(self, written: str) -> str | None:
        """Returns the flag that `no-flag` switches off, or None."""
        if not written.startswith(("no-", "no_")):
            return None
        name = self._known(written[3:])
        return name if name is not None and is_flag(self.options[name].kind) else None

    def _following(self, written: str, name: str, rest: list[str], hides: bool) -> str:
        """Returns the value of an option that has none attached: the next word, or true for a flag."""
        if name and is_flag(self.options[name].kind):
            # With *args the next word is one of them; without, it can only be the flag's value.
            takes = rest and not self.takes_words and rest[-1].lower() in BOOL_WORDS
            if not takes:
                return "true"
        if rest:
            self.found.shown.append(MASK if hides else rest[-1])
            return rest.pop()
        kind = f" ({type_name(self.options[name].kind)})" if name else ""
        raise UsageError(f"{written} needs a value{kind} ({self.fullname})")

    def _unknown(self, written: str) -> None:
        from difflib import get_close_matches  # here: only ever needed on the way to an error

        matches = get_close_matches(written[2:].replace("-", "_"), list(self.options), n=1, cutoff=0.5)
        names = ", ".join(f"--{name}" for name in self.options)
        if written in self.elsewhere:
            hint = f"{written} is an option of the command: it goes before the file"
        elif matches:
            hint = f"did you mean --{matches[0]}?"
        else:
            hint = f"it has {names}" if names else "it takes no arguments"
        raise UsageError(f"no option {written} in {self.fullname}", hint=hint)
