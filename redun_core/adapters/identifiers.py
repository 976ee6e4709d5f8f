"""Adapter of `uuid`."""

from __future__ import annotations

from uuid import UUID

from redun.core.adapters.registry import register

register(UUID, "uuid.UUID", lambda _, identifier: identifier.bytes, lambda _, state: UUID(bytes=state))
