"""Federated credentials of an application: whose tokens it takes for a sign-in without a key.

Entra ID stores any issuer and subject without complaint; only a sign-in tells whether they are
right, and for minutes after a change also right ones are refused (AADSTS70021). So they are written
exactly as they were read from whoever signs the tokens, and proven by a sign-in.

Ours is known by the mark in its description, not by its name. An application has at most one of
them: a change of issuer or subject corrects it in place. Another's that says the same is as good;
what others added is never changed.

Source: Microsoft Graph, "upsert federatedIdentityCredential"; Entra ID, "workload identity
federation" (exactly one audience, at most 20, name immutable, issuer and subject unique together).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.entra.graph import GraphClient, quoted, segment
from shared.entra.reactions import Gone
from shared.errors import NotYet, Refused
from shared.models import MARK, Federation

NAME = "mondoo-onboarding"
"""The name of ours. Where somebody else has taken it, that is refused and not worked around."""


@dataclass(frozen=True)
class FederatedCredential:
    """Trust in tokens of another issuer."""

    id: str
    name: str
    issuer: str
    subject: str
    audiences: tuple[str, ...] = ()
    description: str = ""

    @classmethod
    def from_graph(cls, entity: Mapping[str, Any]) -> FederatedCredential:
        """From Graph's JSON."""
        return cls(
            id=str(entity["id"]),
            name=str(entity.get("name") or ""),
            issuer=str(entity.get("issuer") or ""),
            subject=str(entity.get("subject") or ""),
            audiences=tuple(entity.get("audiences") or ()),
            description=str(entity.get("description") or ""),
        )

    @property
    def ours(self) -> bool:
        """Whether it carries our mark."""
        return MARK in self.description

    def trusts(self, federation: Federation) -> bool:
        """Whether it lets exactly these tokens in."""
        return (self.issuer, self.subject, self.audiences) == (
            federation.issuer,
            federation.subject,
            (federation.audience,),
        )


async def list_credentials(graph: GraphClient, object_id: str) -> list[FederatedCredential]:
    """All of an application, by its object id."""
    path = f"applications/{segment(object_id)}/federatedIdentityCredentials"
    listed = await graph.get_all(path, what=f"the federated credentials of application {object_id}")
    return [FederatedCredential.from_graph(each) for each in listed]


def trusting(
    credentials: Iterable[FederatedCredential], federation: Federation
) -> FederatedCredential | None:
    """The one that lets these tokens in."""
    return next((each for each in credentials if each.trusts(federation)), None)


async def trust(
    graph: GraphClient,
    object_id: str,
    federation: Federation,
    present: Iterable[FederatedCredential],
) -> FederatedCredential:
    """Have the application trust these tokens, by a credential of ours, and read it back.

    ``present`` must be freshly read and hold none that does already. May be repeated.

    Raises:
        Refused: ``federated_credential_taken`` when one without our mark is in the way.
        NotYet: it was written and cannot be read back yet.
    """
    known = list(present)
    ours = next((each for each in known if each.ours), None)
    name = NAME if ours is None else ours.name
    for each in known:
        same = (each.issuer, each.subject) == (federation.issuer, federation.subject)
        if not each.ours and (same or each.name == name):
            raise Refused(
                "federated_credential_taken",
                f"application {object_id} in tenant {graph.tenant_id} has a federated credential"
                f" {each.name!r} without our mark that is in the way of ours"
                + (" (same issuer and subject, another audience)" if same else ""),
                remediation=f"Remove {each.name!r} under Certificates and secrets, Federated"
                " credentials, then send the request again.",
                tenant_id=graph.tenant_id,
            )
    what = f"the federated credential {name!r} of application {object_id}"
    # An upsert by name: a repeat after a lost answer makes no second one.
    await graph.patch(
        f"applications/{segment(object_id)}/federatedIdentityCredentials(name={quoted(name)})",
        {
            "issuer": federation.issuer,
            "subject": federation.subject,
            "audiences": [federation.audience],
            "description": f"Mondoo signs in with it. {MARK}",
        },
        headers={"Prefer": "create-if-missing"},
        what=what,
    )
    written = trusting(await list_credentials(graph, object_id), federation)
    if written is None:
        raise NotYet(
            "application_not_replicated",
            f"{what} in tenant {graph.tenant_id} was written, but reading does not show it yet",
            remediation="Repeat the operation; it goes on where it stopped.",
            tenant_id=graph.tenant_id,
        )
    return written


async def distrust(graph: GraphClient, object_id: str) -> list[FederatedCredential]:
    """Remove those of ours from the application and read back; what was removed.

    Raises:
        NotYet: reading does not show it yet.
    """
    ours = [each for each in await list_credentials(graph, object_id) if each.ours]
    for each in ours:
        path = f"applications/{segment(object_id)}/federatedIdentityCredentials/{segment(each.id)}"
        try:
            await graph.delete(path, what=f"the federated credential {each.name!r}")
        except Gone:
            continue
    if ours and any(each.ours for each in await list_credentials(graph, object_id)):
        raise NotYet(
            "application_not_replicated",
            f"a federated credential was removed from application {object_id} in tenant"
            f" {graph.tenant_id}, but reading does not show it yet",
            remediation="Repeat the operation; it goes on where it stopped.",
            tenant_id=graph.tenant_id,
        )
    return ours
