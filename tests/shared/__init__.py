"""Tests of the product's own modules."""
