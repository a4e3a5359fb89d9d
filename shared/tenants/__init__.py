"""Tenant records and finished operations: what we remember of each tenant."""
