"""Lazy values: `from redun.expression import Expression`."""

from redun.core.expressions import Expression
from redun.core.expressions import Operation as SimpleExpression
from redun.core.expressions import TaskCall as TaskExpression

__all__ = ["Expression", "SimpleExpression", "TaskExpression"]
