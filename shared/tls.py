"""Which certificate authorities our clients trust.

The public authorities, always, and one more when ``TRUSTED_CA_FILE`` names it: that of a network
that inspects TLS, or of a test stand. httpx (and with it the Graph SDK) takes the context;
azure-core takes only a path, so it is given a session around the context
(`shared.azure_transport`). Verification itself cannot be switched off.
"""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import certifi

from shared.config import Settings


def client_context(settings: Settings) -> ssl.SSLContext:
    """A verifying TLS context for clients; the same object for the same authority file."""
    return _context(settings.trusted_ca_file)


@cache
def _context(trusted_ca_file: Path | None) -> ssl.SSLContext:
    # Both stores: slim images lack the system's, managed machines add to it.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if trusted_ca_file is not None:
        context.load_verify_locations(trusted_ca_file)
    return context
