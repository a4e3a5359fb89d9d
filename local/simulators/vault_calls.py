"""What all calls to the simulated Key Vault share: bodies, attributes, pages.

A `VaultCall` says which action of Azure RBAC it needs; authentication and the error envelope are
put around it in `vault`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from local.simulators.clock import Clock
from local.simulators.service import body_of
from local.simulators.vault_certificates import IssuingAuthority, Key, new_key
from local.simulators.vault_errors import bad_parameter, invalid_property
from local.simulators.vault_objects import (
    RETENTION_DAYS,
    Certificate,
    Secret,
    Shelf,
    checked_name,
    seconds,
)
from local.simulators.vault_policies import Policy

MAX_PAGE: Final = 25
MAX_TAGS: Final = 15
VERSIONED: Final = ("/{version}", "/", "")
"""The ends of an address that takes a version: with one, with an empty one, without."""


@dataclass(frozen=True, slots=True)
class VaultCall:
    """An operation of the data plane.

    `handle` returns the JSON of the answer, `(status, JSON)`, or `None` for 204.
    """

    method: str
    path: str
    action: str
    handle: Callable[[web.Request], Awaitable[Any]]


class Contents:
    """What is in the vault, and the switches that its operations look at."""

    def __init__(self, clock: Clock, origin: Callable[[], str]) -> None:
        self.clock = clock
        self.secrets: Shelf[Secret] = Shelf("secret", clock)
        self.certificates: Shelf[Certificate] = Shelf("certificate", clock)
        self.issuance_delay = 0.0
        self.issuers: dict[str, IssuingAuthority] = {}
        self.make_key: Callable[[Policy], Key] = new_key
        self._origin = origin

    @property
    def url(self) -> str:
        """The vault's origin."""
        return self._origin()

    def now(self) -> int:
        """Unix seconds."""
        return seconds(self.clock.now())

    def recovery(self) -> dict[str, Any]:
        """The attributes that tell what happens after a deletion."""
        protected = self.secrets.purge_protection
        level = "Recoverable" if protected else "Recoverable+Purgeable"
        return {"recoveryLevel": level, "recoverableDays": RETENTION_DAYS}

    def page(self, request: web.Request, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """One page of a list, with the link to the next."""
        try:
            size = int(request.query.get("maxresults", MAX_PAGE))
            start = int(request.query.get("$skiptoken", 0))
        except ValueError as error:
            raise bad_parameter("maxresults is not a number") from error
        if not 1 <= size <= MAX_PAGE:
            raise bad_parameter(f"Argument maxResults is not within the range of 1-{MAX_PAGE}")
        following = start + size
        link = None
        if following < len(entries):
            link = (
                f"{self.url}{request.path}?api-version={request.query['api-version']}"
                f"&$skiptoken={following}&maxresults={size}"
            )
        return {"value": list(entries[start:following]), "nextLink": link}


def name_in(request: web.Request) -> str:
    """The object's name in the address, which must be one that Key Vault takes."""
    return checked_name(request.match_info["name"])


def version_in(request: web.Request) -> str:
    """The version in the address; empty for the newest."""
    return request.match_info.get("version", "")


def json_in(request: web.Request) -> Mapping[str, Any]:
    """The request's body, which must be a JSON object."""
    try:
        body = json.loads(body_of(request))
    except ValueError as error:
        raise bad_parameter("The request body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise bad_parameter("The request body is not a JSON object.")
    return body


def tags_in(body: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a body: at most 15, names and values of at most 256 characters."""
    tags = body.get("tags") or {}
    if (
        not isinstance(tags, dict)
        or len(tags) > MAX_TAGS
        or not all(
            isinstance(value, str) and len(value) <= 256 and len(name) <= 256
            for name, value in tags.items()
        )
    ):
        raise invalid_property("tags")
    return dict(tags)


def attributes_in(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes of a body, with their types checked."""
    attributes = body.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise invalid_property("attributes")
    if not isinstance(attributes.get("enabled"), bool | None):
        raise invalid_property("attributes.enabled")
    for name in ("nbf", "exp"):
        value = attributes.get(name)
        if isinstance(value, bool) or not isinstance(value, int | None):
            raise invalid_property(f"attributes.{name}")
    return attributes


def enabled_in(body: Mapping[str, Any], default: bool = True) -> bool:
    """Whether a body wants its object enabled."""
    value = attributes_in(body).get("enabled")
    return default if value is None else bool(value)
