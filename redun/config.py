"""Settings given by a program: `from redun.config import Config`."""

from redun.executor.config.config import Config

__all__ = ["Config"]
