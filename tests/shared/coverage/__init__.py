"""Tests of the coverage statement."""
