"""``python -m local <verb>``: the bundle with no cloud.

Verbs: demo, run, package, docs, schema-diff.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the verb; 2 if there is none such."""
    match sys.argv[1:]:
        case ["demo"]:
            from local.demo import demo

            return demo()
        case ["run"]:
            from local.run import run

            return run()
        case ["docs"]:
            from local.documents import write

            return write()
        case ["package"]:
            from local.package import package

            return package()
        case ["schema-diff"]:
            from local.schema_diff import schema_diff

            return schema_diff()
    print(__doc__, file=sys.stderr)
    return 2


sys.exit(main())
