"""Tests of the simulated services, mostly with clients that we did not write."""
