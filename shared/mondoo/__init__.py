"""Mondoo's platform: who we are there, and what we ask of it."""
