"""The list of what a piece of code uses, while it is being gathered.

Each use has one of these forms (`how`), a name, and a target or a detail:

- `function`, `class`: the normal form of its text; or no target and, as detail, the name that it is listed under, where
  another name leads to it; or the name of a library's function or class that a closure or container holds;
- `constant`: a value; `text`: the text that makes what has no encoding;
- `task`: what a caller sees of it, and the name that it is used by;
- `import`: which thing of a library a name stands for, where that is not `import name`; `module`: so in a closure;
- `distribution`: a version asked for; `untracked`: why something is not tracked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType, NoneType
from typing import Any, Final, NamedTuple, Protocol

from redun.core.digest import Digest
from redun.core.normal_form import normalise
from redun.core.objects import SourceRecord, Use

#: What may be done with a task without a look at its code: its calls carry their own fingerprints.
LAZY_ATTRIBUTES = frozenset({"options", "partial", "update_context", "map"})


class Objects(Protocol):
    """Where objects go."""

    def put(self, kind: str, payload: bytes) -> Digest:
        """Takes an object and returns its id."""
        ...

    def value(self, obj: object) -> Digest:
        """Takes a value and returns its id.

        Raises:
            CannotEncode, ValueTooDeep: if it has no deterministic encoding.
        """
        ...


_UNBOUND: Final = object()
#: What no cell of a notebook changes in place, or what is looked at by itself.
_STEADY: Final = (NoneType, bool, int, float, complex, str, bytes, type, FunctionType, BuiltinFunctionType, ModuleType)


class Binding(NamedTuple):
    """What a name of a module or class was bound to when a fingerprint was taken; and in a notebook, after how many
    cells, where the next one may change that in place."""

    names: Mapping[str, Any]
    name: str
    value: object
    code: object
    cells: int

    @classmethod
    def of(cls, names: Mapping[str, Any], name: str) -> Binding:
        """Returns what the name is bound to now."""
        value = names.get(name, _UNBOUND)
        return cls(names, name, value, _code_of(value), 0 if isinstance(value, _STEADY) else cells_run(names))

    def holds(self) -> bool:
        """Returns whether it is bound to that still: a notebook's cell or a test may put something else there."""
        value = self.names.get(self.name, _UNBOUND)
        if value is not self.value or _code_of(value) is not self.code:
            return False
        return not self.cells or cells_run(self.names) == self.cells


def cells_run(names: Mapping[str, Any]) -> int:
    """Returns how many cells of a notebook have run whose names these are, the one that runs among them; 0 for all
    other modules."""
    texts = names.get("_ih")  # IPython's own list of what it ran
    return len(texts) if isinstance(texts, list) else 0


def _code_of(value: object) -> object:
    # who reloads a module may give a function new code and leave the function itself
    return value.__code__ if type(value) is FunctionType else None


class UseList:
    """Gathers uses, and remarks on what is not tracked.

    Attributes:
        untracked: lines for people.
        doubts: own code whose source is not what runs; if there is any, no result may be kept under this fingerprint.
    """

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._uses: dict[tuple[str, str, str], Use] = {}
        self._lines: dict[str, None] = {}
        self._bindings: dict[tuple[int, str], Binding] = {}
        self.doubts: list[str] = []

    def uses(self) -> tuple[Use, ...]:
        """Returns all uses, sorted by name."""
        return tuple(use for _, use in sorted(self._uses.items()))

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """What the names were bound to that decided the uses."""
        return tuple(self._bindings.values())

    def watch(self, names: Mapping[str, Any], name: str) -> None:
        """Notes what a name is bound to: the uses are those of now only while it stays so."""
        self.depend((Binding.of(names, name),))

    def depend(self, bindings: Iterable[Binding]) -> None:
        """Adds bindings on which something depends that is itself a use."""
        for binding in bindings:
            self._bindings.setdefault((id(binding.names), binding.name), binding)

    @property
    def untracked(self) -> tuple[str, ...]:
        """Lines for people, doubts first."""
        return (*self.doubts, *sorted(self._lines))

    def add(self, how: str, name: str, target: Digest | None = None, detail: str = "") -> None:
        """Adds one use; the same again changes nothing. What else goes by the same name (two branches of an `if` that
        define one function) is numbered."""
        use = Use(how, name, target, detail)
        number = 1
        while self._uses.setdefault((use.name, how, detail), use) != use:
            number += 1
            use = Use(how, f"{name}#{number}", target, detail)

    def take(self, how: str, name: str) -> Use | None:
        """Removes a use and returns it, or None."""
        return self._uses.pop((name, how, ""), None)

    def text(self, how: str, name: str, text: str) -> None:
        """Adds a use of code by its normal form."""
        self.add(how, name, self.source(text))

    def source(self, text: str) -> Digest:
        """Puts the normal form of a text as a `source` object and returns its id."""
        return self.objects.put("source", SourceRecord(normalise(text)).payload())

    def untrack(self, name: str, why: str) -> None:
        """Adds something that the code uses and that is not tracked."""
        self.add("untracked", name, None, why)
        self.note(name, why)

    def note(self, name: str, why: str) -> None:
        """Adds a line for people that is no part of the fingerprint: what differs from one machine to the next."""
        self._lines[f"{name}: {why}"] = None

    def doubt(self, name: str, why: str) -> None:
        """Adds own code that cannot be trusted."""
        self.add("untracked", name, None, why)
        self.doubts.append(f"{name}: {why}")


def signature_text(params: Any, interface: Any) -> str:
    """Returns the canonical text of what a caller can see of a task: its parameters, and options as text pairs."""
    shown: list[str] = []
    kinds = [kind for _, kind in params]
    for place, (name, kind) in enumerate(params):
        if kind == 3 and 2 not in kinds and 3 not in kinds[:place]:
            shown.append("*")
        shown.append({2: "*", 4: "**"}.get(kind, "") + name)
        if kind == 0 and 0 not in kinds[place + 1 :]:
            shown.append("/")
    return f"({', '.join(shown)})" + "".join(f" {name}={value!r}" for name, value in interface)
