"""Tests of shared.dashboard."""
