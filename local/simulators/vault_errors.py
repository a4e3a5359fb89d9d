"""What the simulated Key Vault says when it says no.

One exception with the parts of Key Vault's error envelope, and a constructor for each condition, so
that codes and sentences are in one place. Texts follow the answers of the real data plane as seen
in its documentation and in issues of its clients.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["secret", "certificate"]
_HELP = "https://go.microsoft.com/fwlink/?linkid=2125182"


class VaultError(Exception):
    """An error answer: HTTP status, `code`, `message` and the code of the `innererror`, if any."""

    def __init__(self, status: int, code: str, message: str, inner: str | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner

    def body(self) -> dict[str, object]:
        """The JSON envelope."""
        return envelope(self.code, self.message, self.inner)


def envelope(code: str, message: str, inner: str | None = None) -> dict[str, object]:
    """Key Vault's error envelope."""
    error: dict[str, object] = {"code": code, "message": message}
    if inner is not None:
        error["innererror"] = {"code": inner}
    return {"error": error}


def bad_parameter(message: str) -> VaultError:
    """400: something in the request is not what it must be."""
    return VaultError(400, "BadParameter", message)


def invalid_property(name: str) -> VaultError:
    """400: a property of the body has a value that Key Vault does not take."""
    return bad_parameter(f"Property {name} has invalid value\r\n")


def invalid_name(name: str) -> VaultError:
    """400: an object name outside `[0-9a-zA-Z-]{1,127}`."""
    return bad_parameter(f"The request URI contains an invalid name: {name}")


def not_found(kind: Kind, name: str) -> VaultError:
    """404: no such object or version, or it was deleted."""
    return VaultError(
        404,
        f"{kind.capitalize()}NotFound",
        f"A {kind} with (name/id) {name} was not found in this key vault. If you recently deleted "
        f"this {kind} you may be able to recover it using the correct recovery command. For help "
        f"resolving this issue, please see {_HELP}",
    )


def deleted_not_found(kind: Kind, name: str) -> VaultError:
    """404: nothing soft-deleted has the name."""
    return VaultError(
        404, f"{kind.capitalize()}NotFound", f"Deleted {kind.capitalize()} not found: {name}"
    )


def pending_not_found(name: str) -> VaultError:
    """404: the certificate has no pending operation."""
    return VaultError(404, "PendingCertificateNotFound", f"Pending certificate not found: {name}")


def deleted_but_recoverable(kind: Kind, name: str) -> VaultError:
    """409: a soft-deleted object holds the name."""
    return VaultError(
        409,
        "Conflict",
        f"{kind.capitalize()} {name} is currently in a deleted but recoverable state, and its name "
        f"cannot be reused; in this state, the {kind} can only be recovered or purged.",
        "ObjectIsDeletedButRecoverable",
    )


def being_deleted(kind: Kind, name: str) -> VaultError:
    """409: the object's deletion has not finished."""
    return VaultError(
        409,
        "Conflict",
        f"{kind.capitalize()} {name} is currently being deleted and cannot be re-created; retry "
        "later.",
        "ObjectIsBeingDeleted",
    )


def pending_exists() -> VaultError:
    """409: a certificate of that name is being made."""
    return VaultError(
        409,
        "Conflict",
        "A new key vault certificate can not be created or imported while a pending key vault "
        "certificate's status is inProgress.",
    )


def name_taken(kind: Kind, name: str) -> VaultError:
    """409: an object of another kind holds the name of the certificate's secret."""
    return VaultError(409, "Conflict", f"A {kind} with the name {name} already exists.")


def managed_secret(operation: str) -> VaultError:
    """403: the secret belongs to a certificate and changes only with it."""
    return VaultError(
        403,
        "Forbidden",
        f'Operation "{operation}" is not allowed on this secret, since it is associated with a '
        "certificate.",
        "SecretManagedByKeyVault",
    )


def disabled(kind: Kind) -> VaultError:
    """403: the version asked for is disabled."""
    return VaultError(
        403,
        "Forbidden",
        f"Operation get is not allowed on a disabled {kind}.",
        f"{kind.capitalize()}Disabled",
    )


def purge_protected() -> VaultError:
    """403: the vault has purge protection."""
    return VaultError(
        403,
        "Forbidden",
        'Operation "purge" is not allowed because purge protection is enabled for this vault. Key '
        "Vault service will automatically purge it after the retention period has passed.",
        "ForbiddenByPolicy",
    )


def forbidden_by_rbac(caller: str, action: str, resource: str) -> VaultError:
    """403: the caller has no role with the action."""
    return VaultError(
        403,
        "Forbidden",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny "
        "assignments or role definitions were changed recently, please observe propagation time."
        f"\r\nCaller: {caller}\r\nAction: '{action}'\r\nResource: '{resource}'\r\n"
        "Assignment: (not found)\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\n",
        "ForbiddenByRbac",
    )


def unauthorized(message: str) -> VaultError:
    """401: no token, or one that was not made for this vault; `message` starts with an AKV code."""
    return VaultError(401, "Unauthorized", message)
