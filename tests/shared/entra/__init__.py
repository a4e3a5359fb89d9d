"""Tests of how we sign in to tenants and change them, against the simulated Entra ID and Graph."""
