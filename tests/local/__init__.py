"""Tests of the bundle with no cloud."""
