"""No private key, PEM or token is in anything the system wrote during an onboarding."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from local.stack import LocalStack
from tests.driving import Driver
from tests.end_to_end.test_onboarding import add_tenant

SECRET_SHAPES = {
    "a PEM": re.compile(r"-----BEGIN|-----END|PRIVATE KEY"),
    # Base64 of DER: a certificate or key begins MII; 100 characters of it are no coincidence.
    "base64 of a key or certificate": re.compile(r"MII[A-Za-z0-9+/\\n]{100,}"),
    "a JSON web token": re.compile(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "a bearer header": re.compile(r"[Bb]earer [\w-]{20,}"),
}


def test_nothing_that_was_written_holds_a_secret(
    stack: LocalStack, product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    operation = product.onboard(domain)
    answers = [
        product.post("/api/plan", {"tenant": domain}).text,
        product.get(f"/api/tenants/{tenant.id}").text,
        product.get("/api/tenants").text,
        product.get(f"/api/operations/{operation['id']}").text,
    ]
    instance = f"tenant-{tenant.id}"
    status = product.get(
        f"/runtime/webhooks/durabletask/instances/{instance}?showInput=true&showHistory=true"
        "&showHistoryOutput=true"
    ).text
    written = {
        "history": json.dumps(stack.host.history(instance)),
        "status": status,
        "answers": "\n".join(answers),
        "logs": "\n".join(stack.host.logs.lines()),
        "records": _records(stack.records_file),
        "events": json.dumps(stack.simulators.run(lambda: list(stack.simulators.events.published))),
        "journal": "\n".join(call.path for call in stack.simulators.journal.calls),
    }
    assert all(len(text) > 500 for text in written.values()), "something was not scanned"
    assert operation["id"] in written["history"]
    thumbprint_free = {name: _found(text) for name, text in written.items()}
    assert thumbprint_free == {name: [] for name in written}
    keys = _private_numbers(product)
    for name, text in written.items():
        assert not [key for key in keys if key in text], f"a private key is in the {name}"


def _found(text: str) -> list[str]:
    return [what for what, shape in SECRET_SHAPES.items() if shape.search(text)]


def _records(file: Path) -> str:
    return b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*")).decode(
        "latin-1"
    )


def _private_numbers(product: Driver) -> list[str]:
    """A stretch out of the middle of every PEM body in the simulated vault."""

    def bodies() -> list[str]:
        found: list[str] = []
        for value in product.simulators.vault.secret_values():
            found += re.findall(r"-----BEGIN PRIVATE KEY-----\n(.+?)-----END", value, re.DOTALL)
        return found

    stretches = ["".join(body.split())[200:260] for body in product.simulators.run(bodies)]
    assert stretches
    assert all(base64.b64decode(stretch) for stretch in stretches)
    return stretches


def test_the_shapes_find_what_they_are_meant_to_find() -> None:
    samples: dict[str, Any] = {
        "a PEM": "x -----BEGIN PRIVATE KEY-----\\nMIIE",
        "base64 of a key or certificate": "MII" + "Ab1+" * 40,
        "a JSON web token": "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovLyJ9.c2lnbmF0dXJl-_x",
        "a bearer header": "Authorization: Bearer abcdefghijklmnopqrstuvwxyz",
    }
    for what, sample in samples.items():
        assert what in _found(sample)
