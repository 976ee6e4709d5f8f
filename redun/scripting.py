"""Scripts: `from redun.scripting import script`."""

from redun.core.errors import ScriptError
from redun.executor.scripting.script import script
from redun.executor.scripting.words import quote, sh

__all__ = ["ScriptError", "quote", "script", "sh"]
