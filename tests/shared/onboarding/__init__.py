"""Tests of the onboarding steps and their order."""
