"""Simulated Microsoft Graph: applications, service principals, grants, roles, policies.

`GraphService` is the front; every resource is a module with its own routes.
"""

from __future__ import annotations

from local.simulators.graph.service import GraphService

__all__ = ["GraphService"]
