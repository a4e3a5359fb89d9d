"""A certificate authority that lives as long as the simulators.

The real clients refuse plain http for everything but managed identity, so each start makes a CA,
one server certificate for the loopback names, and a file with the CA's certificate for the
clients' `verify` settings. No key is ever written to disk except for the moment in which `ssl`
loads it.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

import trustme


class Authority:
    """The throw-away CA. `ca_file` is a PEM file that exists until `close`."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="simulators-")
        ca = trustme.CA(organization_name="Simulators")
        self.ca_file = Path(self._directory.name) / "ca.pem"
        ca.cert_pem.write_to_path(str(self.ca_file))
        self._server = ca.issue_cert("127.0.0.1", "localhost", "::1")

    def server_context(self) -> ssl.SSLContext:
        """A TLS server context with the loopback certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.configure_cert(context)
        return context

    def close(self) -> None:
        """Remove the CA file."""
        self._directory.cleanup()
