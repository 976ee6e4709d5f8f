"""Help for tasks: which a workflow has, what one takes, and what one is. Text made from signatures; nothing runs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redun.cli.annotations import choices, is_flag, members, repeated, type_name
from redun.cli.arguments import Parameter
from redun.cli.render import safe_repr, shorten
from redun.cli.text_forms import form_of
from redun.core.forms import printable, printable_lines
from redun.core.parameters import VAR_KEYWORD, VAR_POSITIONAL
from redun.core.tasks import Task

#: Characters of a default in a help line.
_DEFAULT_CHARS: Final = 60
#: Column at which explanations begin, unless what stands before is longer.
_COLUMN: Final = 26
_INDENT: Final = "  "


def task_list(tasks: Iterable[Task[..., Any]]) -> str:
    """Returns the names of the tasks, sorted, each with the first line of its docstring."""
    lines = {task.fullname: _first_line(task.__doc__) for task in tasks}
    if not lines:
        return "No tasks here: decorate a function with @task()."
    width = max(map(len, lines))
    shown = (f"   {printable(name):<{width}}  {line}".rstrip() for name, line in sorted(lines.items()))
    return "\n".join(["Tasks available:", *shown])


def task_usage(fullname: str, parameters: Sequence[Parameter]) -> str:
    """Returns the one line that shows how the task is called."""
    words = ["usage:", printable(fullname), "[-h]"]
    for parameter in parameters:
        if parameter.position == VAR_POSITIONAL:
            words.append(f"[{_placeholder(parameter)} ...]")
        elif parameter.position == VAR_KEYWORD:
            words.append("[--NAME VALUE ...]")
        elif parameter.required:
            words.append(_written(parameter))
        else:
            words.append(f"[{_written(parameter)}]")
    return " ".join([*words, "[{help,info}]"])


def task_help(fullname: str, doc: str | None, parameters: Sequence[Parameter], width: int = 80) -> str:
    """Returns the help of a task: usage, docstring, its arguments with types and defaults."""
    wrapped = textwrap.wrap(task_usage(fullname, parameters), width, subsequent_indent=_INDENT * 4)
    parts = ["\n".join(wrapped)]
    if doc and doc.strip():
        parts.append(printable_lines(_clean(doc)))
    rows = [("{help,info}", ""), ("  help", "Show help for calling a task."), ("  info", "Show task information.")]
    rows += [(f"{_placeholder(p)} ...", _explained(p)) for p in parameters if p.position == VAR_POSITIONAL]
    parts.append(_section("positional arguments", rows, width))
    named = [p for p in parameters if p.position != VAR_POSITIONAL]
    required = [(_written(p), _explained(p)) for p in named if p.required]
    if required:
        parts.append(_section("required arguments", required, width))
    optional = [("-h, --help", "show this help message and exit")]
    optional += [(_written(p), _explained(p)) for p in named if not p.required]
    parts.append(_section("optional arguments", optional, width))
    return "\n\n".join(parts)


def task_info(task: Task[..., Any], digest: str, source: str) -> str:
    """Returns what a task is: its id, its name, and its source as it is now."""
    return f"Task {digest} {printable(task.fullname)}\n\n{textwrap.indent(printable_lines(source.rstrip()), _INDENT)}\n"


def _first_line(doc: str | None) -> str:
    return printable(doc.strip().partition("\n")[0]) if doc and doc.strip() else ""


def _clean(doc: str) -> str:
    first, _, rest = doc.strip("\n").partition("\n")
    return f"{first.strip()}\n{textwrap.dedent(rest)}".strip()


def _placeholder(parameter: Parameter) -> str:
    return printable(parameter.name).upper()


def _written(parameter: Parameter) -> str:
    if parameter.position == VAR_KEYWORD:
        return "--NAME VALUE"
    if is_flag(parameter.kind):
        return f"{parameter.option}, --no-{parameter.name}" if parameter.default is not False else parameter.option
    return f"{parameter.option} {_placeholder(parameter)}"


def _explained(parameter: Parameter) -> str:
    words = [type_name(parameter.kind)]
    if (admitted := choices(parameter.kind)) and type_name(parameter.kind) != " or ".join(map(repr, admitted)):
        words.append(f"one of {', '.join(admitted)}")
    words += [form for form in [_form(parameter.kind)] if form]
    if parameter.position == VAR_KEYWORD:
        words.append("any further names")
    elif parameter.position != VAR_POSITIONAL and repeated(parameter.kind) is not None:
        words.append("several words, or a JSON array")
    text = ", ".join(words)
    return f"{text} (default: {_default_text(parameter.default)})" if parameter.has_default else text


def _form(kind: Any) -> str:
    """How a word of the type is to be written, where one type says so for all that the parameter admits."""
    forms = [form_of(member) for member in members(kind) if member is not type(None)]
    return forms[0] if len(forms) == 1 else ""


def _default_text(default: Any) -> str:
    # A text stands as it would be typed; whatever else, an expression or a file, is shown and never read.
    text = default if isinstance(default, str) and default.strip() else safe_repr(default)
    return printable(shorten(text, _DEFAULT_CHARS))


def _section(title: str, rows: Iterable[tuple[str, str]], width: int) -> str:
    lines = [f"{title}:"]
    for left, right in rows:
        start = f"{_INDENT}{left}"
        if not right:
            lines.append(start)
            continue
        text = textwrap.wrap(right, max(20, width - _COLUMN)) or [""]
        if len(start) + 2 > _COLUMN:
            lines.append(start)
            start = ""
        lines.append(f"{start:<{_COLUMN}}{text[0]}")
        lines += [" " * _COLUMN + line for line in text[1:]]
    return "\n".join(lines)
