"""HTTP: the interface, described by itself.

GET /api/openapi.json    OpenAPI 3.1, of the functions that this app has registered
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import azure.durable_functions as df
import azure.functions as func
import msgspec

from shared.config import Settings
from shared.triggers.access import Gate
from shared.triggers.problems import answering


def interface_functions(settings: Settings, others: Iterable[df.Blueprint]) -> df.Blueprint:
    """The blueprint of the description of ``others``, and of itself."""
    blueprint = df.Blueprint()
    gate = Gate(settings)
    described = [*others, blueprint]

    @cache
    def document() -> bytes:
        # Every model and every workflow is needed for it, and it is seldom asked for.
        from shared.triggers import openapi

        functions = openapi.registered(described, settings)
        return msgspec.json.encode(openapi.document(functions, settings))

    @blueprint.function_name("openapi_document")
    @blueprint.route(route="openapi.json", methods=["GET"])
    @answering
    @gate.reads
    async def openapi_document(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(
            document(), headers={"Cache-Control": "no-cache"}, mimetype="application/json"
        )

    return blueprint
