"""HTTP: the policies of a space, to choose from.

GET /api/policies?space=&search=    each with its MRN, and what it is in the space: active, in
                                    preview, or nothing yet
"""

from __future__ import annotations

import azure.durable_functions as df
import azure.functions as func
import msgspec
from msgspec import Struct

from shared.arrivals.fields import refused_space
from shared.context import Context
from shared.errors import InvalidRequest
from shared.models import SpaceMrn
from shared.mondoo import policies
from shared.mondoo.policies import Policy
from shared.triggers.access import Gate
from shared.triggers.problems import answering, json_response


class PolicyList(Struct, rename="camel"):
    """The answer."""

    space: str
    policies: list[Policy]


def policy_functions(context: Context) -> df.Blueprint:
    """The blueprint of the list of policies."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("list_policies")
    @blueprint.route(route="policies", methods=["GET"])
    @answering
    @gate.reads
    async def list_policies(req: func.HttpRequest) -> func.HttpResponse:
        space = _space(req.params.get("space") or context.settings.mondoo_space)
        search = (req.params.get("search") or "").strip()
        found = await policies.search(context.mondoo, space, search)
        return json_response(PolicyList(space, found))

    return blueprint


def _space(text: str | None) -> str:
    if text is None:
        raise InvalidRequest(
            "space_missing",
            "the request names no Mondoo space and there is no default space",
            remediation="Add ?space= with an MRN, or set MONDOO_SPACE_MRN.",
            field="space",
        )
    try:
        return str(msgspec.convert(text, SpaceMrn))
    except msgspec.ValidationError as error:
        raise refused_space() from error
