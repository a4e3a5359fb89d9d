"""A Graph call as its handler sees it, whether it came by itself or inside a `$batch`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.simulators.graph.errors import GraphError, bad_request, malformed, not_found
from local.simulators.objects import Application, ServicePrincipal
from local.simulators.tenant import SimulatedTenant
from local.simulators.tokens import Claims
from local.simulators.world import World, is_guid


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, JSON body (`None`: no body) and extra headers."""

    status: int
    body: dict[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class GraphCall:
    """One request, routed and authenticated.

    `params` are the variable parts of the path, decoded; `query` the options, decoded; `headers`
    have lower-case names; `url` is the absolute address of the API version, `path` what follows.
    """

    method: str
    url: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    claims: Claims
    tenant: SimulatedTenant
    world: World
    now: datetime
    rights: frozenset[str]

    def prefers(self, preference: str) -> bool:
        """Whether a preference is among those of the `Prefer` header."""
        wanted = self.headers.get("prefer", "").lower().split(",")
        return preference in (item.strip() for item in wanted)

    def json_body(self) -> dict[str, Any]:
        """The body as a JSON object, `@odata.` annotations left out."""
        return {
            name: value for name, value in self._payload().items() if not name.startswith("@odata.")
        }

    def reference(self) -> str:
        """The object that a `$ref` body names: the value of its `@odata.id`."""
        reference = self._payload().get("@odata.id")
        if not isinstance(reference, str):
            raise malformed("The reference in the payload has no '@odata.id'.")
        return reference

    def _payload(self) -> dict[str, Any]:
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise GraphError(
                415, "UnsupportedMediaType", "The Content-Type of the request must be JSON."
            )
        try:
            body = json.loads(self.body)
        except ValueError as error:
            raise malformed(
                "Unable to read JSON request payload. Please ensure Content-Type header is set and"
                " payload is of valid JSON format."
            ) from error
        if not isinstance(body, dict):
            raise malformed("The request payload is not a JSON object.")
        return body

    def object_id(self, name: str = "id") -> str:
        """A path part that must be a GUID, in lower case."""
        value = self.params[name]
        if not is_guid(value):
            raise bad_request(f"Invalid object identifier '{value}'.")
        return value.lower()

    def application(self) -> Application:
        """The application that the path names by id, appId or uniqueName; 404 if not readable."""
        params = self.params
        found: Application | None
        if "uniqueName" in params:
            found = self.tenant.application_by_unique_name(params["uniqueName"])
        elif "appId" in params:
            found = self.tenant.application_by_app_id(self.object_id("appId"))
        else:
            found = self.tenant.applications.get(self.object_id())
        if found is None or found.visible_at > self.now:
            raise not_found(next(iter(params.values())))
        return found

    def service_principal(self) -> ServicePrincipal:
        """The service principal that the path names by id or appId; 404 if not readable."""
        found: ServicePrincipal | None
        if "appId" in self.params:
            found = self.tenant.service_principal_by_app_id(self.object_id("appId"))
        else:
            found = self.tenant.service_principals.get(self.object_id())
        if found is None or found.visible_at > self.now:
            raise not_found(next(iter(self.params.values())))
        return found

    def context(self, fragment: str) -> str:
        """The value of `@odata.context`."""
        return f"{self.url}/$metadata#{fragment}"


Handler = Callable[[GraphCall], Answer]
