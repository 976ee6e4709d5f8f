"""Context: `from redun.context import get_context`."""

from redun.core.context import get_context

__all__ = ["get_context"]
