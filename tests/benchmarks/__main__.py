"""``make bench``: cold start, the requests of an onboarding, and audits of whole fleets."""

from __future__ import annotations

import sys

from tests.benchmarks import cold_start, fleet, onboarding

if __name__ == "__main__":
    sys.exit(max([cold_start.measure(), onboarding.measure(), fleet.measure()]))
