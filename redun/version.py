"""The version: `from redun.version import version`."""

from redun.core.version import VERSION as version  # noqa: N811  (the name that workflows know it by)

__all__ = ["version"]
