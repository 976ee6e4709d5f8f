"""Types of values that say how they are stored: `from redun.value import Value, value_adapter`."""

from redun.core.adapters.registry import register_adapter, value_adapter
from redun.core.value_protocol import FileCache, ProxyValue, Value

__all__ = ["FileCache", "ProxyValue", "Value", "register_adapter", "value_adapter"]
