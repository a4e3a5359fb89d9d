"""Tests of `shared.arrivals`."""
