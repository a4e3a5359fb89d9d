"""HTTP: is the app up. Open by design: monitors have no key, and the answer holds no secret."""

from __future__ import annotations

import azure.durable_functions as df
import azure.functions as func
from msgspec import Struct

from shared.manifest import manifest_names
from shared.triggers.problems import json_response


class Health(Struct, rename="camel"):
    """The app is up; ``manifests`` are the permission lists that it has."""

    status: str
    manifests: list[str]


def health_functions() -> df.Blueprint:
    """The blueprint of the health check, which asks no other service."""
    blueprint = df.Blueprint()

    @blueprint.function_name("health")
    @blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def health(req: func.HttpRequest) -> func.HttpResponse:
        return json_response(Health("up", list(manifest_names())))

    return blueprint
