"""``make demo``: the product shown on sample tenants, in chapters.

Exits 0 only if every tenant ended as it should in every chapter.
"""

from __future__ import annotations

import sys

import httpx

from local.demo.arrivals import let_tenants_arrive
from local.demo.audit import audit_samples
from local.demo.credentials import renew_and_do_without
from local.demo.leaving import offboard
from local.demo.onboarding import onboard_samples
from local.demo.stage import Stage
from local.samples import sample_tenants
from local.stack import LocalStack


def demo() -> int:
    """Run all chapters; the exit code."""
    with LocalStack() as stack, httpx.Client(base_url=stack.host.url, timeout=30) as client:
        stage = Stage(stack, client)
        samples = sample_tenants(stack.simulators)
        wrong = onboard_samples(stage, samples)
        wrong += audit_samples(stage, samples)
        wrong += renew_and_do_without(stage, samples)
        wrong += offboard(stage, samples)
        wrong += let_tenants_arrive(stage)
    for sentence in wrong:
        print(f"\n{sentence}", file=sys.stderr)
    return 1 if wrong else 0
