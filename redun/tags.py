"""Tags: `from redun.tags import apply_tags`."""

from redun.core.subworkflows import apply_tags
from redun.core.tags import tag_value as parse_tag_value

__all__ = ["apply_tags", "parse_tag_value"]
