"""What sets of files were found to be while the answer of one job is looked for.

A set may have 100,000 files, and where one has changed it is asked for three times: whether the footprint of a whole
replay holds, whether the job's own step does, and what there is now, for the history. Only of sets that had changed is
anything kept: to take one for changed once more makes a body run at worst. One that held is looked at again, because
other bodies run meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeGuard

from redun.core.files.places import Place, place_of
from redun.core.values import External

if TYPE_CHECKING:
    from redun.core.files.sets import FileSet

#: A set as it is compared: where it lies, and the hash of the state that a value stands for.
_State = tuple[Place | None, str]


class Looks:
    """Looks at external values that were read from the store, and remembers what of sets that had changed.

    Attributes:
        changed: the members that there were of each; None where not all of them were looked at.
    """

    def __init__(self) -> None:
        self.changed: dict[_State, Mapping[str, bytes] | None] = {}

    def forget(self) -> None:
        """Begins anew: another job is to be answered, or code has run that may have written files."""
        self.changed.clear()

    def holds(self, external: External) -> bool:
        """Returns whether it is what it was, as `External.is_valid` says.

        Raises:
            RemoteFileError: if that cannot be known.
        """
        if not _is_set(external):
            return external.is_valid()
        holds, members = external.look()
        if not holds:
            self.changed[_state(external)] = members
        return holds

    def has_changed(self, external: External) -> bool:
        """Returns whether it is not what it was, now or when it was looked at last.

        Raises:
            RemoteFileError: if that cannot be known.
        """
        if self.changed and _is_set(external) and _state(external) in self.changed:
            return True
        return not self.holds(external)

    def renew(self, external: External) -> None:
        """Makes one that has changed stand for what was found, or for what there is when it is looked at next."""
        found = self.changed.get(_state(external)) if _is_set(external) else None
        external.refresh()
        if found is not None and _is_set(external):
            external.stand_for(found)


def _is_set(external: External) -> TypeGuard[FileSet]:
    place = place_of(external)
    return place is not None and place.many


def _state(files: FileSet) -> _State:
    return place_of(files), files.hash
