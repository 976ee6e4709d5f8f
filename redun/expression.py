"""Lazy values: `from redun.expression import Expression, quote`."""

from redun.core.expressions import Expression
from redun.core.expressions import Operation as SimpleExpression
from redun.core.expressions import SchedulerCall as SchedulerExpression
from redun.core.expressions import TaskCall as TaskExpression
from redun.core.quoting import QuotedExpression, quote

__all__ = [
    "Expression",
    "QuotedExpression",
    "SchedulerExpression",
    "SimpleExpression",
    "TaskExpression",
    "quote",
]
