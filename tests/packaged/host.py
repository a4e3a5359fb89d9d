"""The local host in the clean environment: ``python -P host.py <package> <what the host brings>``.

Settings come in by standard input and answers go out by standard output, one line of JSON each;
when the input ends the host stops. Run as a script, so that nothing of this repository but the
folder of the host is on the import path.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path


def serve(package: Path) -> None:
    """Serve until the input ends; then tell what was loaded from where."""
    from local.host import FunctionsHost

    settings = json.loads(sys.stdin.readline())
    with FunctionsHost(
        package / "function_app.py",
        settings,
        log_level=logging.WARNING,
        on_stop=lambda app: app.context.aclose(),
    ) as host:
        print(json.dumps({"url": host.url}), flush=True)
        sys.stdin.read()
    loaded = {name: getattr(each, "__file__", None) for name, each in sys.modules.items()}
    print(json.dumps({name: file for name, file in loaded.items() if file}), flush=True)


if __name__ == "__main__":
    sys.path.append(sys.argv[2])
    serve(Path(sys.argv[1]))
