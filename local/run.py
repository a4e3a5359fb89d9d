"""``make run``: the local stack with the sample tenants, serving until Ctrl-C."""

from __future__ import annotations

import logging
import os
import signal

from local.samples import sample_tenants
from local.stack import LocalStack


def run() -> int:
    """Serve on ``PORT`` (7071); function keys are asked for only when ``LOCAL_AUTH`` is 1."""
    port = int(os.environ.get("PORT", "7071"))
    auth = os.environ.get("LOCAL_AUTH") == "1"
    # Block the signals before any thread starts, so that every thread inherits it and the wait
    # below is the only one to receive them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    # What an operation's remedy calls the function app's log is this terminal.
    with LocalStack(port=port, auth=auth, print_level=logging.ERROR) as stack:
        samples = sample_tenants(stack.simulators)
        print(f"Serving on {stack.host.url}", flush=True)
        if auth:
            print(f"Function key: {stack.host.keys['default']}")
        print(f"Simulators' control: {stack.simulators.urls['control']}/journal")
        print("Sample tenants:")
        for sample in samples:
            print(f"  {sample.domain:<27} {sample.story}")
        print("Ctrl-C stops it; everything is forgotten then.", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0
