"""Values that stand for a state of a resource: `from redun.handle import Handle`."""

from redun.core.handles import Handle, HandleInfo, merge_handles

__all__ = ["Handle", "HandleInfo", "merge_handles"]
