"""Tests of rotation."""
