"""Runs one suite: `python -m tests.next.run tests.next.suite_sample`.

Needs Python 3.13 or later with `requirements-next.txt`; `launch` takes care of that. Exits with 1
if a check failed or the app could not be started.
"""

from __future__ import annotations

import importlib
import logging
import sys
import warnings

from tests.next.stage import WorkerFailedError
from tests.next.suite import Suite


def main(arguments: list[str]) -> int:
    """Run the suites of the modules named; returns the exit code."""
    logging.basicConfig(level=logging.CRITICAL)
    # The compatibility layer tells that every name of 1.x is deprecated. That is why it is there.
    warnings.simplefilter("ignore", DeprecationWarning)
    (module,) = arguments
    suite: Suite = importlib.import_module(module).SUITE
    try:
        failures = suite.run()
    except WorkerFailedError as error:
        print(f"FAIL  the worker could not start the app: {error}", flush=True)
        return 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
