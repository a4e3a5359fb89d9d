"""Orchestrators through the replay of the real 1.x SDK, and the harness that drives it."""
