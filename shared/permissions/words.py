"""What the request says in sentences, whatever it is written in."""

from __future__ import annotations

from shared.permissions.request import PermissionRequest

READS = (
    "All of it reads. Where the name of a permission says more (Sites.FullControl.All,"
    " Exchange.ManageAsApp), the service offers nothing narrower for what the scanner asks."
)

AUTOMATION = (
    "These are for the automation that sets the application up and keeps it as it should be. They"
    " sit on another identity, which Mondoo never has. Once a tenant is onboarded, audits that only"
    " report do with the ones that read."
)

CREDENTIAL = (
    "The application never signs in with a password, and never as a user. The private key of its"
    " certificate is kept in our key vault and handed to Mondoo. Everything is taken away again by"
    " one request, with a receipt of what became of each object."
)

SIGNED_BY = ("Requested by", "Approved by (security)", "Approved by (tenant administrator)")
SIGNED_WITH = ("Name", "Role", "Date", "Signature")


def asked(request: PermissionRequest) -> str:
    """The request in one sentence."""
    roles = " and ".join(role.name for role in request.directory_roles)
    return (
        f"The application “{request.application}” is to get {len(request.permissions)} application"
        f" permissions and the directory role {roles}, so that Mondoo can scan this Microsoft 365"
        " tenant."
    )


def evidence(request: PermissionRequest) -> str:
    """How sure the list is."""
    if not request.inferred:
        return "Every entry was read in the published source."
    return (
        f"{len(request.permissions) - request.inferred} entries were read in the published source;"
        f" {request.inferred} were inferred from it and are marked."
    )
