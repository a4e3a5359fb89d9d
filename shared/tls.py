"""Which certificate authorities our clients trust.

The public authorities, always, and one more when ``TRUSTED_CA_FILE`` names it: that of a network
that inspects TLS, or of a test stand. httpx (and with it the Graph SDK) takes a context; azure-core
takes only a path and then forgets the public authorities, so it is given one file that holds both.
Verification itself cannot be switched off.
"""

from __future__ import annotations

import atexit
import os
import ssl
import tempfile
from functools import cache
from pathlib import Path

import certifi

from shared.config import Settings


def client_context(settings: Settings) -> ssl.SSLContext:
    """A verifying TLS context for clients; the same object for the same authority file."""
    return _context(settings.trusted_ca_file)


def connection_verify(settings: Settings) -> str | bool:
    """The value of azure-core's ``connection_verify``: a bundle's path, or True for the default."""
    if settings.trusted_ca_file is None:
        return True
    return _bundle(settings.trusted_ca_file)


@cache
def _context(trusted_ca_file: Path | None) -> ssl.SSLContext:
    # Both stores: slim images lack the system's, managed machines add to it.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if trusted_ca_file is not None:
        context.load_verify_locations(trusted_ca_file)
    return context


@cache
def _bundle(trusted_ca_file: Path) -> str:
    descriptor, path = tempfile.mkstemp(prefix="trusted-authorities-", suffix=".pem")
    atexit.register(Path(path).unlink, missing_ok=True)
    with os.fdopen(descriptor, "wb") as bundle:
        bundle.write(Path(certifi.where()).read_bytes().rstrip(b"\n"))
        bundle.write(b"\n" + trusted_ca_file.read_bytes())
    return path
