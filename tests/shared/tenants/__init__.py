"""Tests of the tenant records."""
