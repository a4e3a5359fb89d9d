"""Certificate policies of the simulated Key Vault: what may be asked for, and its defaults.

A policy arrives as JSON, is checked member by member, and becomes a `Policy`; what Key Vault fills
in by itself (key size, usages, lifetime action) is filled in here. Left out: HSM key types (a
standard vault has none), curve P-256K, certificate transparency, and the renewal that a lifetime
action asks for, since the product renews by itself and must not be surprised in the middle of a
test.

Source: Key Vault REST reference, "Create Certificate" and "About Key Vault certificates".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509

from local.simulators.vault_errors import bad_parameter, invalid_property

PEM = "application/x-pem-file"
PKCS12 = "application/x-pkcs12"
KEY_SIZES = (2048, 3072, 4096)
CURVES = ("P-256", "P-384", "P-521")
KEY_USAGES = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
MAX_MONTHS = 1200
_SERVER_AND_CLIENT = ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2")
_MEMBERS = frozenset(
    {"id", "key_props", "secret_props", "x509_props", "lifetime_actions", "issuer", "attributes"}
)


OWN_ISSUERS = ("Self", "Unknown")
"""Issuers that every vault has: itself, and nobody that it knows."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A complete certificate policy; `size` is 0 for elliptic curve keys."""

    issuer: str
    subject: str
    key_type: str = "RSA"
    size: int = 2048
    curve: str | None = None
    exportable: bool = True
    reuse_key: bool = False
    content_type: str = PKCS12
    months: int = 12
    dns_names: tuple[str, ...] = ()
    key_usages: tuple[str, ...] = ("digitalSignature", "keyEncipherment")
    extended_usages: tuple[str, ...] = _SERVER_AND_CLIENT
    lifetime_actions: tuple[Mapping[str, Any], ...] = ()

    def as_json(self, url: str, created: int, updated: int) -> dict[str, Any]:
        """The policy as Key Vault sends it; `url` is its id, times are Unix seconds."""
        key: dict[str, Any] = {
            "exportable": self.exportable,
            "kty": self.key_type,
            "reuse_key": self.reuse_key,
        }
        if self.curve is None:
            key["key_size"] = self.size
        else:
            key["crv"] = self.curve
        properties: dict[str, Any] = {
            "subject": self.subject,
            "ekus": list(self.extended_usages),
            "key_usage": list(self.key_usages),
            "validity_months": self.months,
            "basic_constraints": {"ca": False},
        }
        if self.dns_names:
            properties["sans"] = {"dns_names": list(self.dns_names)}
        return {
            "id": url,
            "key_props": key,
            "secret_props": {"contentType": self.content_type},
            "x509_props": properties,
            "lifetime_actions": [dict(action) for action in self.lifetime_actions],
            "issuer": {"name": self.issuer},
            "attributes": {"enabled": True, "created": created, "updated": updated},
        }


def new_policy(body: object, issuers: Collection[str] = ()) -> Policy:
    """The policy of a certificate to be made. ``issuers`` are the authorities of the vault.

    Raises:
        VaultError: 400 BadParameter, naming the member that is missing or wrong.
    """
    document = _object(body, "policy")
    issuer = _object(document.get("issuer"), "policy.issuer").get("name")
    if not isinstance(issuer, str) or not issuer:
        raise invalid_property("policy.issuer.name")
    if issuer not in (*OWN_ISSUERS, *issuers):
        raise bad_parameter(f"Issuer {issuer} was not found in this key vault.")
    properties = _object(document.get("x509_props"), "policy.x509_props")
    if not properties.get("subject") and not properties.get("sans"):
        raise invalid_property("policy.x509_props.subject")
    return changed_policy(Policy(issuer=issuer, subject=""), document, issuers)


def changed_policy(policy: Policy, body: object, issuers: Collection[str] = ()) -> Policy:
    """`policy` with the members that `body` gives; others stay.

    Raises:
        VaultError: 400 BadParameter, naming the member that is wrong.
    """
    document = _object(body, "policy")
    unknown = set(document) - _MEMBERS
    if unknown:
        raise invalid_property(f"policy.{min(unknown)}")
    if document.get("issuer") is not None:
        name = _object(document["issuer"], "policy.issuer").get("name")
        if name not in (*OWN_ISSUERS, *issuers):
            raise invalid_property("policy.issuer.name")
        policy = replace(policy, issuer=name)
    if document.get("key_props") is not None:
        policy = _with_key(policy, _object(document["key_props"], "policy.key_props"))
    if document.get("secret_props") is not None:
        content = _object(document["secret_props"], "policy.secret_props").get("contentType")
        if content not in (PEM, PKCS12):
            raise invalid_property("policy.secret_props.contentType")
        policy = replace(policy, content_type=content)
    if document.get("x509_props") is not None:
        policy = _with_x509(policy, _object(document["x509_props"], "policy.x509_props"))
    if document.get("lifetime_actions") is not None:
        policy = replace(policy, lifetime_actions=_lifetime_actions(document["lifetime_actions"]))
    return policy


def _with_key(policy: Policy, given: Mapping[str, Any]) -> Policy:
    key_type = given.get("kty") or policy.key_type
    exportable = given.get("exportable")
    reuse = given.get("reuse_key")
    if exportable is not None and not isinstance(exportable, bool):
        raise invalid_property("policy.key_props.exportable")
    if reuse is not None and not isinstance(reuse, bool):
        raise invalid_property("policy.key_props.reuse_key")
    policy = replace(
        policy,
        exportable=policy.exportable if exportable is None else exportable,
        reuse_key=policy.reuse_key if reuse is None else reuse,
    )
    size, curve = given.get("key_size"), given.get("crv")
    if key_type == "RSA":
        chosen = size if size is not None else (policy.size or KEY_SIZES[0])
        if isinstance(chosen, bool) or chosen not in KEY_SIZES:
            raise invalid_property("policy.key_props.key_size")
        if curve is not None:
            raise invalid_property("policy.key_props.crv")
        return replace(policy, key_type="RSA", size=chosen, curve=None)
    if key_type == "EC":
        chosen_curve = curve if curve is not None else (policy.curve or CURVES[0])
        if chosen_curve not in CURVES:
            raise invalid_property("policy.key_props.crv")
        usages = tuple(usage for usage in policy.key_usages if usage != "keyEncipherment")
        return replace(policy, key_type="EC", size=0, curve=chosen_curve, key_usages=usages)
    raise invalid_property("policy.key_props.kty")


def _with_x509(policy: Policy, given: Mapping[str, Any]) -> Policy:
    subject = given.get("subject")
    if subject is not None:
        policy = replace(policy, subject=_subject(subject))
    months = given.get("validity_months")
    if months is not None:
        if isinstance(months, bool) or not isinstance(months, int) or not 1 <= months <= MAX_MONTHS:
            raise invalid_property("policy.x509_props.validity_months")
        policy = replace(policy, months=months)
    if given.get("key_usage") is not None:
        usages = _strings(given["key_usage"], "policy.x509_props.key_usage")
        if not set(usages) <= set(KEY_USAGES):
            raise invalid_property("policy.x509_props.key_usage")
        policy = replace(policy, key_usages=usages)
    if given.get("ekus") is not None:
        usages = _strings(given["ekus"], "policy.x509_props.ekus")
        try:
            for usage in usages:
                x509.ObjectIdentifier(usage)
        except ValueError as error:
            raise invalid_property("policy.x509_props.ekus") from error
        policy = replace(policy, extended_usages=usages)
    if given.get("sans") is not None:
        sans = _object(given["sans"], "policy.x509_props.sans")
        names = _strings(sans.get("dns_names") or [], "policy.x509_props.sans.dns_names")
        policy = replace(policy, dns_names=names)
    return policy


def _subject(value: object) -> str:
    """A subject in RFC 4514 form, as given, after it was parsed."""
    if not isinstance(value, str):
        raise invalid_property("policy.x509_props.subject")
    try:
        x509.Name.from_rfc4514_string(value)
    except ValueError as error:
        raise invalid_property("policy.x509_props.subject") from error
    return value


def _lifetime_actions(value: object) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list):
        raise invalid_property("policy.lifetime_actions")
    for entry in value:
        action = _object(entry, "policy.lifetime_actions")
        trigger = _object(action.get("trigger"), "policy.lifetime_actions.trigger")
        what = _object(action.get("action"), "policy.lifetime_actions.action")
        if what.get("action_type") not in ("AutoRenew", "EmailContacts"):
            raise invalid_property("policy.lifetime_actions.action.action_type")
        given = [
            name
            for name in ("lifetime_percentage", "days_before_expiry")
            if trigger.get(name) is not None
        ]
        if len(given) != 1:
            raise invalid_property("policy.lifetime_actions.trigger")
        percentage = trigger.get("lifetime_percentage")
        if percentage is not None and not (isinstance(percentage, int) and 1 <= percentage <= 99):
            raise invalid_property("policy.lifetime_actions.trigger.lifetime_percentage")
    return tuple(value)


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise invalid_property(name)
    return value


def _strings(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise invalid_property(name)
    return tuple(value)
