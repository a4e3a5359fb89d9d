"""HTTP: the permission request that a security team can sign.

GET /api/permissions?manifest=&format=    json, md or html; also by ``Accept``
"""

from __future__ import annotations

import azure.durable_functions as df
import azure.functions as func

from shared.context import Context
from shared.manifest import load_manifest
from shared.triggers.access import Gate
from shared.triggers.problems import answering


def permission_functions(context: Context) -> df.Blueprint:
    """The blueprint of the permission request."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("permission_request")
    @blueprint.route(route="permissions", methods=["GET"])
    @answering
    @gate.reads
    async def permission_request(req: func.HttpRequest) -> func.HttpResponse:
        # Seldom asked for; a start that is not shall not pay for it.
        from shared.permissions import formats, request

        wanted = formats.chosen(req.params.get("format"), req.headers.get("accept"))
        settings = context.settings
        manifest = load_manifest(req.params.get("manifest") or settings.manifest)
        asked = request.permission_request(manifest, settings.application_name)
        written = formats.written(asked, wanted)
        return func.HttpResponse(written.body, headers=written.headers)

    return blueprint
