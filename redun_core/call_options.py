"""Options of tasks and calls that mean something to every executor: what values they may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from redun.core.errors import TaskError
from redun.core.expressions import Expression, is_lazy
from redun.core.steering import STEERING, check_steering
from redun.core.tags import tag_pairs

_CHECKS: Final = ("full", "shallow")
_ARCHIVES: Final = (True, False, "restore")
_SCOPES: Final = ("NONE", "CSE", "BACKEND")
_RESULTS: Final = frozenset({"CSE", "SINGLE", "ULTIMATE", "MISS"})


def check_call_options(fullname: str, options: Mapping[str, Any]) -> None:
    """Checks the values of options that mean something to every executor; those that are lazy are checked later.

    Raises:
        TaskError: if one means nothing.
    """
    options = {name: value for name, value in options.items() if not isinstance(value, Expression)}
    if not STEERING.isdisjoint(options):
        check_steering(fullname, {name: value for name, value in options.items() if not is_lazy(value)})
    cache = options.get("cache", True)
    if type(cache) is not bool:
        raise TaskError(f"task {fullname}: cache={cache!r}", hint="cache is True or False")
    if options.get("check_valid", "full") not in _CHECKS:
        raise TaskError(f"task {fullname}: check_valid={options['check_valid']!r}", hint='"full" or "shallow"')
    if options.get("archive", False) not in _ARCHIVES:
        raise TaskError(f"task {fullname}: archive={options['archive']!r}", hint='archive is True, False or "restore"')
    scope = options.get("cache_scope", "BACKEND")
    if getattr(scope, "name", scope) not in _SCOPES:
        raise TaskError(f"task {fullname}: cache_scope={scope!r}", hint=f"one of {', '.join(_SCOPES)}")
    if type(options.get("prov", True)) is not bool:
        raise TaskError(f"task {fullname}: prov={options['prov']!r}", hint="prov is True or False")
    results = options.get("allowed_cache_results")
    if results is not None and not {str(getattr(item, "value", item)) for item in results} <= _RESULTS:
        raise TaskError(f"task {fullname}: allowed_cache_results={results!r}", hint=f"of {', '.join(sorted(_RESULTS))}")
    if options.get("tags"):
        try:
            tag_pairs(options["tags"])
        except (TypeError, ValueError) as error:
            raise TaskError(
                f"task {fullname}: tags={options['tags']!r}: {error}", hint='tags=[("name", "value")]'
            ) from None
