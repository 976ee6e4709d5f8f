"""Files as values: `from redun.file import File`."""

from redun.core.files import File

__all__ = ["File"]
