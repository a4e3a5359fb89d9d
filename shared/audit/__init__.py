"""Audit: what a tenant is, compared with what it should be, and put right as far as it may be."""
