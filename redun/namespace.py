"""Names of tasks: `from redun.namespace import namespace`."""

from redun.core.namespace import get_current_namespace, namespace

__all__ = ["get_current_namespace", "namespace"]
