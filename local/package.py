"""``make package``: the deployment package, the same bytes for the same sources.

In the zip is what runs in Azure and nothing else: ``function_app.py``, ``host.json``,
``requirements.txt`` and ``shared/``, with the bytecode of every module, so that a cold start
compiles nothing. Tests, the local stack, templates and documents stay out. Packages of others are
not in it: the build service of Azure installs them from ``requirements.txt``, for its own platform.

Reproducible: entries are sorted, dated 1980-01-01, with fixed rights; bytecode names each file by
its path in the package and is not checked against the date of its source ("unchecked hash", PEP
552), which a zip does not keep exactly; and it is written in the marshal format without back
references, which depend on what else happens to be in memory.
"""

from __future__ import annotations

import importlib.util
import marshal
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dist" / "onboarding.zip"
ALONE = ("function_app.py", "host.json", "requirements.txt")
FOLDER = "shared"
LEFT_OUT = {".pyc"}

UNCHECKED_HASH = (1).to_bytes(4, "little")
"""The flags of PEP 552: the hash of the source follows, and is not to be checked."""

WITHOUT_REFERENCES = 2
"""The newest version of the marshal format that has no back references."""


def package(target: Path = PACKAGE, root: Path = ROOT) -> int:
    """Write the package and print what it is; the exit code."""
    contents = files(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    write(target, contents)
    size, unpacked = target.stat().st_size, sum(map(len, contents.values()))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(f"{target.name}: {size / 1024:.0f} KiB, {len(contents)} files, {unpacked / 1024:.0f} KiB")
    print(f"bytecode for Python {version}; sha256 {sha256(target.read_bytes()).hexdigest()}")
    return 0


def files(root: Path) -> dict[str, bytes]:
    """Everything that is deployed, by its path in the package, in order."""
    found = {name: (root / name).read_bytes() for name in ALONE}
    for path in (root / FOLDER).rglob("*"):
        if path.is_file() and path.suffix not in LEFT_OUT and "__pycache__" not in path.parts:
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    compiled = {
        bytecode_name(name): bytecode(name, source)
        for name, source in found.items()
        if name.endswith(".py")
    }
    return dict(sorted((found | compiled).items()))


def bytecode_name(name: str) -> str:
    """Where Python looks for the bytecode of a module."""
    return Path(importlib.util.cache_from_source(name)).as_posix()


def bytecode(name: str, source: bytes) -> bytes:
    """The bytecode of a module, never checked against its source."""
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    header = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(source)
    return header + marshal.dumps(code, WITHOUT_REFERENCES)


def write(target: Path, contents: dict[str, bytes]) -> None:
    """A zip of these contents, and of nothing that differs between two machines."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
