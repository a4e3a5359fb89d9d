"""Make the environment, then run the suite: ``python -m tests.packaged``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.packaged.environment import make

if __name__ == "__main__":
    make()
    sys.exit(pytest.main([str(Path(__file__).with_name("suite.py"))]))
