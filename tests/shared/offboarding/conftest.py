"""A stack without a host, whose clock may be moved, and lives on it."""

from tests.shared.lives import life, stack, tenant

__all__ = ["life", "stack", "tenant"]
