"""Stand-in for the messages of the Functions RPC protocol, in plain Python.

`azure-functions-runtime` takes the module with the protocol's classes as a parameter and only makes
and reads messages, so that neither gRPC nor the .proto files are needed. A message here keeps the
fields it was given; of a group of alternatives (`WhichOneof`) one is set.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

#: Fields of a group, where the message has others besides.
_GROUPS = {"rpc_data": ("data", "rpc_shared_memory")}


class Message:
    """Fields by name; a field (lower case) that was not given is None."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name[:1].isupper():
            raise AttributeError(name)
        return None

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - protobuf's name
        """Name of the field of the group that is set."""
        group_fields = vars(self) if group == "data" else _GROUPS[group]
        return next((name for name in group_fields if getattr(self, name) is not None), None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self)})"


class StatusResult(Message):
    """How a request ended."""

    Failure, Success, Cancelled = range(3)


class BindingInfo(Message):
    """A binding; its directions and the data type "none given"."""

    undefined = 0
    inout = 2
    out = 1


class RpcHttpCookie(Message):
    """A cookie of a response."""

    class SameSite(IntEnum):
        """Values of the attribute."""

        Lax = 1
        Strict = 2
        ExplicitNone = 3


setattr(RpcHttpCookie.SameSite, "None", 0)


class Protocol:
    """The module of the protocol: the classes above, and a plain message for every other name."""

    StatusResult = StatusResult
    BindingInfo = BindingInfo
    RpcHttpCookie = RpcHttpCookie

    def __getattr__(self, name: str) -> type[Message]:
        if not name[:1].isupper():
            raise AttributeError(name)
        return type(name, (Message,), {})
