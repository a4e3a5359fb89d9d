"""Tests of shared.permissions."""
