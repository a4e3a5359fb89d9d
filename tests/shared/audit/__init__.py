"""Audits: comparing, repairing, reporting."""
