"""Measurements, not tests: they print figures and judge only what an issue set a limit for."""
