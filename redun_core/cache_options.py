"""Names for the values of options that say where an answer may come from. The words themselves do as well."""

from __future__ import annotations

import enum


class CacheScope(enum.StrEnum):
    """`cache_scope`: answers may come from nowhere, from this execution, or from all of them."""

    NONE = "NONE"
    CSE = "CSE"
    BACKEND = "BACKEND"


class CacheCheckValid(enum.StrEnum):
    """`check_valid`: whether everything below a call must still hold, or its own result only."""

    FULL = "full"
    SHALLOW = "shallow"


class CacheResult(enum.StrEnum):
    """`allowed_cache_results`: from an equal call of this execution, from what the body returned, or from the final
    result."""

    CSE = "CSE"
    SINGLE = "SINGLE"
    ULTIMATE = "ULTIMATE"
    MISS = "MISS"
