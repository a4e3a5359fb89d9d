"""Tests of the Mondoo client."""
