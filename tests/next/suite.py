"""A suite of the next target: an app, its environment, and checks that print one line each."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.next.stage import Stage

#: Raises (mostly AssertionError) if something is wrong; its docstring or name is what is checked.
Check = Callable[[Stage], None]


@dataclass(frozen=True)
class Suite:
    """Checks on one app. A module of a suite has one as `SUITE`."""

    app_dir: Path
    #: makes the environment, and ends what serves it when the checks are done
    environ: Callable[[], AbstractContextManager[Mapping[str, str]]]
    checks: Sequence[Check]

    def run(self) -> int:
        """Run all checks on one stage; returns how many failed."""
        failures = 0
        with self.environ() as environ, Stage(self.app_dir, environ) as stage:
            print(
                f"ok    {len(stage.functions)} functions found in {self.app_dir.name}", flush=True
            )
            for check in self.checks:
                failures += _run(check, stage)
        return failures


def _run(check: Check, stage: Stage) -> int:
    title = check.__name__.replace("_", " ")
    begin = time.perf_counter()
    try:
        check(stage)
    except Exception as error:  # noqa: BLE001 - every failure of a check is counted and shown
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno} `{place.line}`"
        print(f"FAIL  {title}: {type(error).__name__} {error} at {where}", flush=True)
        return 1
    print(f"ok    {title} ({time.perf_counter() - begin:.2f} s)", flush=True)
    return 0
