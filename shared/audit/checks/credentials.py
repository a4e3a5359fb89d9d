"""Credentials: what Mondoo signs in with is registered and fresh, and nothing else signs in.

That is a certificate, or (keyless) the trust in the issuer and subject of the integration's tokens.

Which certificates are right is told by the tenant record and by what the vault holds; entries are
known by the thumbprint of the key itself. The one that Mondoo was given last, by the integration's
label, is reported when it is another, but never removed: scans may still depend on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from shared.audit.deviations import (
    Deviation,
    ExcessKey,
    MissingTrust,
    UnregisteredCertificate,
    deviation,
)
from shared.entra.federated_credentials import trusting
from shared.entra.inventory import AuditedApplication
from shared.entra.key_credentials import KeyCredential, has_expired, is_ours, thumbprint
from shared.models import CertificateReference, Federation
from shared.vault.certificates import StoredCertificate


def certificates(
    app: AuditedApplication,
    in_use: CertificateReference | None,
    stored: StoredCertificate | None,
    given_to_mondoo: str | None,
    *,
    now: datetime,
    warning: timedelta,
    rotating: Collection[str] = (),
    keyless: bool = False,
) -> Iterator[Deviation]:
    """What is wrong with the application's key credentials. ``rotating``: thumbprints of a rotation
    that has not come to its end, which may be registered side by side. ``keyless``: there should be
    none."""
    entries = app.application.key_credentials
    if keyless:
        for entry in entries:
            yield _excess(entry, now, given_to_mondoo)
        return
    if in_use is None:
        # Nothing tells right from wrong, so no entry is called either.
        yield deviation(
            "certificate_unrecorded",
            f"application {app.application.app_id}",
            f"no certificate is on record; the application has {len(entries)}",
        )
        return
    yield from _validity(in_use, now, warning)
    if in_use.thumbprint not in app.application.thumbprints():
        yield deviation(
            "certificate_not_registered",
            in_use.thumbprint,
            f"the certificate {in_use.thumbprint} is not registered with the application",
            identity=in_use.thumbprint,
            target=UnregisteredCertificate(in_use.thumbprint),
        )
    right = {in_use.thumbprint, *rotating}
    if stored is not None and stored.marked:
        right.add(stored.reference.thumbprint)
    for entry in entries:
        if thumbprint(entry) not in right:
            yield _excess(entry, now, given_to_mondoo)


def _validity(
    in_use: CertificateReference, now: datetime, warning: timedelta
) -> Iterator[Deviation]:
    left = in_use.not_after - now
    if left > warning:
        return
    code = "certificate_expired" if left <= timedelta() else "certificate_expiring"
    what = "expired" if left <= timedelta() else "expires"
    yield deviation(
        code,
        in_use.thumbprint,
        f"the certificate {in_use.thumbprint} {what} on {in_use.not_after:%Y-%m-%d}",
        identity=in_use.thumbprint,
    )


def _excess(entry: KeyCredential, now: datetime, given_to_mondoo: str | None) -> Deviation:
    key_id = str(entry.get("keyId"))
    found = thumbprint(entry)
    name = str(entry.get("displayName") or "without a name")
    shown = f"the certificate {found or 'without a readable key'} ({name})"
    if has_expired(entry, now):
        code, what = "certificate_clutter", "has expired and is still registered"
    elif is_ours(entry) or (found is not None and found == given_to_mondoo):
        code, what = "certificate_superseded", "is registered and is not the one in use"
    else:
        code, what = "certificate_unknown", "is registered and is not ours"
    mondoo_has_it = found is not None and found == given_to_mondoo
    return deviation(
        code,
        name,
        f"{shown} {what}",
        identity=key_id,
        target=None if mondoo_has_it else ExcessKey(key_id),
    )


def secrets(app: AuditedApplication, *, now: datetime) -> Iterator[Deviation]:
    """Client secrets, of which there should be none."""
    for secret in app.passwords:
        expired = has_expired(secret.entry, now)
        yield deviation(
            "secret_expired" if expired else "secret",
            secret.name,
            f"the application has a client secret ({secret.name}, {secret.key_id})"
            + (" that has expired" if expired else ""),
            identity=secret.key_id,
            target=secret,
        )


def federated(
    app: AuditedApplication, federation: Federation | None, *, keyless: bool
) -> Iterator[Deviation]:
    """Federated credentials, of which there should be none but that for the integration's tokens
    (``federation``) where it is ``keyless``."""
    if keyless and federation is not None and trusting(app.federated, federation) is None:
        yield deviation(
            "federated_credential_missing",
            f"application {app.application.app_id}",
            f"the application does not trust {federation.issuer} for the subject"
            f" {federation.subject}",
            target=MissingTrust(federation),
        )
    for each in app.federated:
        right = federation is not None and each.trusts(federation)
        # Ours, where it says something else, is the one that is missing: it is corrected in place.
        if keyless and (right or each.ours):
            continue
        yield deviation(
            "federated_credential_superseded" if each.ours else "federated_credential",
            each.name,
            f"the application trusts {each.issuer} for the subject {each.subject}",
            identity=each.id,
            # Where a move did not end Mondoo may still sign in with it: told, and never removed.
            target=None if right else each,
        )


def vault(
    in_use: CertificateReference | None, stored: StoredCertificate | None, *, own: bool = False
) -> Iterator[Deviation]:
    """What is wrong with the certificate that the vault holds. ``own``: it is the administrator's,
    and carries no mark."""
    if in_use is None:
        return
    if stored is None:
        yield deviation(
            "vault_certificate_missing",
            in_use.name,
            f"the vault holds no certificate {in_use.name}",
        )
        return
    if not stored.marked and not own:
        yield deviation(
            "vault_certificate_not_ours",
            in_use.name,
            f"the certificate {in_use.name} in the vault does not carry our mark",
        )
    if stored.reference.version != in_use.version:
        yield deviation(
            "vault_certificate_differs",
            in_use.name,
            f"the vault holds version {stored.reference.version} of {in_use.name}, and"
            f" {in_use.version} is on record",
        )
    elif not stored.enabled:
        yield deviation(
            "vault_certificate_disabled",
            in_use.name,
            f"the certificate {in_use.name} is disabled in the vault",
        )
