"""A stack without a host, whose clock may be moved, and lives on it."""

from tests.shared.lives import life, tenant
from tests.shared.onboarding.rehearsal import stack

__all__ = ["life", "stack", "tenant"]
