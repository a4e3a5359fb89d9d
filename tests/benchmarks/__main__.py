"""``make bench``: cold start, and the requests of an onboarding."""

from __future__ import annotations

import sys

from tests.benchmarks import cold_start, onboarding

if __name__ == "__main__":
    sys.exit(max([cold_start.measure(), onboarding.measure()]))
