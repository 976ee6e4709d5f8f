"""Adapters of `re` and `string`: patterns and templates."""

from __future__ import annotations

import re
from string import Template
from typing import Any

from redun.core.adapters.registry import register
from redun.core.decoding import Decoder


def _read_pattern(_: Decoder, state: Any) -> re.Pattern[Any]:
    pattern, flags = state
    return re.compile(pattern, flags)


register(re.Pattern, "re.Pattern", lambda _, pattern: [pattern.pattern, int(pattern.flags)], _read_pattern)
register(Template, "string.Template", lambda _, template: template.template, lambda _, state: Template(state))
