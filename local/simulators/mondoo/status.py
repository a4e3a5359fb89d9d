"""Status codes of the platform, in the three forms in which they reach a client.

In GraphQL a refusal is an entry of `errors` in an answer with HTTP 200, whose message is the text
of a gRPC error; over RPC it is a google.rpc.Status with the HTTP status of its code.

Sources: mondoohq/ranger-rpc codes/codes.go and status/http.go; the Terraform provider, which looks
for `code = NotFound` in messages.
"""

from __future__ import annotations

from enum import Enum


class Code(Enum):
    """A status code: number in google.rpc.Status, name in messages, HTTP status of RPC answers."""

    UNKNOWN = (2, "Unknown", 500)
    INVALID_ARGUMENT = (3, "InvalidArgument", 400)
    DEADLINE_EXCEEDED = (4, "DeadlineExceeded", 504)
    NOT_FOUND = (5, "NotFound", 404)
    ALREADY_EXISTS = (6, "AlreadyExists", 409)
    PERMISSION_DENIED = (7, "PermissionDenied", 403)
    RESOURCE_EXHAUSTED = (8, "ResourceExhausted", 429)
    FAILED_PRECONDITION = (9, "FailedPrecondition", 412)
    ABORTED = (10, "Aborted", 409)
    OUT_OF_RANGE = (11, "OutOfRange", 400)
    UNIMPLEMENTED = (12, "Unimplemented", 501)
    INTERNAL = (13, "Internal", 500)
    UNAVAILABLE = (14, "Unavailable", 503)
    UNAUTHENTICATED = (16, "Unauthenticated", 401)

    def __init__(self, number: int, spelling: str, http_status: int) -> None:
        self.number = number
        self.spelling = spelling
        self.http_status = http_status

    @classmethod
    def named(cls, text: str) -> Code:
        """The code of a name in either spelling, or `UNKNOWN`."""
        for code in cls:
            if text in (code.spelling, code.name):
                return code
        return cls.UNKNOWN


class StatusError(Exception):
    """A refusal by the platform."""

    def __init__(self, code: Code, description: str) -> None:
        super().__init__(f"rpc error: code = {code.spelling} desc = {description}")
        self.code = code
        self.description = description

    def rpc_body(self) -> dict[str, object]:
        """google.rpc.Status as JSON."""
        return {"code": self.code.number, "message": self.description, "details": []}
