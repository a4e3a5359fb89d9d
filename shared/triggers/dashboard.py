"""HTTP: how all tenants stand.

GET /api/dashboard    a page that asks the interface as whoever looks at it; holds nothing itself
GET /api/overview     all tenants counted, and those named that need somebody
"""

from __future__ import annotations

import azure.durable_functions as df
import azure.functions as func

from shared.context import Context
from shared.triggers.access import Gate
from shared.triggers.problems import answering, json_response


def dashboard_functions(context: Context) -> df.Blueprint:
    """The blueprint of the dashboard."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("dashboard")
    @blueprint.route(route="dashboard", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def dashboard(req: func.HttpRequest) -> func.HttpResponse:
        from shared.dashboard import headers, page

        return func.HttpResponse(
            page(context.settings.authentication), headers=headers(), mimetype="text/html"
        )

    @blueprint.function_name("read_overview")
    @blueprint.route(route="overview", methods=["GET"])
    @answering
    @gate.reads
    async def read_overview(req: func.HttpRequest) -> func.HttpResponse:
        from shared.overview import overview

        return json_response(await overview(context.records, context.now()))

    return blueprint
