"""The OpenAPI 3.1 document: made from the functions that are registered, and from our models.

Paths and methods are those that the app really has, who may call them is what `access` lets
through, and shapes are the schemas that msgspec reads out of the models which bodies are decoded
into and answers are made of. What cannot be read out of code (what a route is for, which codes its
refusals have) is in `descriptions`; a route that is not described there has no place in the
document, which a test does not let pass.

It is made at the first request and kept: a start of the app does not pay for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import azure.durable_functions as df
import msgspec

from shared.config import Authentication, Settings
from shared.triggers.access import OPEN_ROUTES, Role, auth_level, roles_of
from shared.triggers.descriptions import DESCRIPTIONS, Answer, Description, Parameter
from shared.triggers.problems import PROBLEM_JSON, Problem

PREFIX = "/api/"
"""What the host puts before every route (``routePrefix`` of ``host.json`` is its default)."""

_REFERENCES = "#/components/schemas/{name}"
_FROM_PLATFORM = {
    HTTPStatus.UNAUTHORIZED: (
        "not_signed_in",
        "authentication_not_in_front",
        "principal_not_from_platform",
        "principal_of_another_tenant",
        "principal_unreadable",
    ),
    HTTPStatus.FORBIDDEN: ("role_missing", "role_insufficient"),
}
_RETRY_AFTER = {
    "description": "Seconds until it makes sense to ask again.",
    "schema": {"type": "integer", "minimum": 0},
}
_LOCATION = {
    "description": "Where to follow it.",
    "required": True,
    "schema": {"type": "string"},
}


@dataclass(frozen=True)
class Registered:
    """An HTTP function as the app has it. ``roles`` are those that may call it; empty: anybody."""

    name: str
    route: str
    methods: tuple[str, ...]
    roles: frozenset[Role]


def registered(blueprints: Iterable[df.Blueprint], settings: Settings) -> list[Registered]:
    """The HTTP functions of an app that has these blueprints."""
    app = df.DFApp(http_auth_level=auth_level(settings))
    for blueprint in blueprints:
        app.register_functions(blueprint)
    return [
        Registered(
            str(function.get_function_name()),
            str(function.get_trigger().route),
            tuple(sorted(str(method) for method in function.get_trigger().methods)),
            roles_of(function.get_user_function()),
        )
        for function in app.get_functions()
        if function.is_http_function()
    ]


def document(functions: Iterable[Registered], settings: Settings) -> dict[str, Any]:
    """The document, for the way in which this app asks who calls.

    Raises:
        KeyError: a function that nobody described.
    """
    described = [(function, DESCRIPTIONS[function.name]) for function in functions]
    kinds: dict[Any, None] = {Problem: None}
    for _, description in described:
        kinds |= dict.fromkeys(description.models())
    models = list(kinds)
    schemas, components = msgspec.json.schema_components(models, ref_template=_REFERENCES)
    schema_of = dict(zip(models, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for function, description in described:
        operation = _operation(function, description, schema_of, settings)
        for method in function.methods:
            paths.setdefault(PREFIX + function.route, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mondoo Microsoft 365 onboarding",
            "version": "1",
            "description": "Connects Microsoft 365 tenants to the Mondoo security scanner, and"
            " proves that it worked. A step that failed or whose outcome is unknown is never"
            " reported as success. Every error is a problem (RFC 9457) with a code of ours and a"
            " remedy; the runbook lists them.",
        },
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _without_null_defaults(components),
            "securitySchemes": _security_schemes(settings),
        },
    }


def _operation(
    function: Registered,
    description: Description,
    schema_of: Mapping[Any, Any],
    settings: Settings,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": function.name,
        "summary": description.summary,
        "tags": [description.tag],
    }
    if description.details:
        operation["description"] = description.details
    in_path = [Parameter(name, "path") for name in re.findall(r"\{(\w+)", function.route)]
    parameters = [*in_path, *description.parameters]
    if parameters:
        operation["parameters"] = [_parameter(each) for each in parameters]
    if description.body is not None:
        operation["requestBody"] = {
            "required": description.body_required,
            "content": {
                media_type: _content(schema_of.get(content.model), content.schema, content.example)
                for media_type, content in description.body.items()
            },
        }
    operation["responses"] = {
        **{str(status): _answer(each, schema_of) for status, each in description.answers.items()},
        **_refusals(function, description, schema_of[Problem], settings),
    }
    operation["security"] = _security(function, settings)
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    told = parameter.told()
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        **told,
    }


def _answer(answer: Answer, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    headers = {
        **({"Location": _LOCATION} if answer.location else {}),
        **({"Retry-After": _RETRY_AFTER} if answer.retry_after else {}),
    }
    return {
        "description": answer.description,
        **({"headers": headers} if headers else {}),
        "content": {
            media_type: _content(schema_of.get(content.model), content.schema, content.example)
            for media_type, content in answer.content.items()
        },
    }


def _content(model: Any, schema: Any, example: Any) -> dict[str, Any]:
    told = {"schema": schema if schema is not None else model}
    return told if example is None else {**told, "example": example}


def _refusals(
    function: Registered, description: Description, problem: Any, settings: Settings
) -> dict[str, Any]:
    codes: dict[int, tuple[str, ...]] = dict(description.refusals)
    if function.roles and settings.authentication is Authentication.ENTRA:
        codes |= {int(status): told for status, told in _FROM_PLATFORM.items()}
    found = {str(status): _problem(status, told, problem) for status, told in sorted(codes.items())}
    if function.roles and settings.authentication is Authentication.KEYS:
        found["401"] = {"description": "No function key, or a wrong one; the host answers."}
    return found


def _problem(status: int, codes: tuple[str, ...], problem: Any) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    schema = problem
    if codes:
        schema = {"allOf": [problem, {"properties": {"code": {"enum": list(codes)}}}]}
    told = {
        "description": f"{phrase}: {', '.join(f'`{code}`' for code in codes)}."
        if codes
        else f"{phrase}; the code says which service, and why.",
        "content": {PROBLEM_JSON: {"schema": schema}},
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        told["headers"] = {"Retry-After": _RETRY_AFTER}
    linked = {"tenant_busy", "operation_ended"} & set(codes)
    if linked:
        told["headers"] = {"Location": {**_LOCATION, "required": linked == set(codes)}}
    return told


def _security_schemes(settings: Settings) -> dict[str, Any]:
    if settings.authentication is Authentication.ENTRA:
        tenant = f"{settings.cloud.login}/{settings.home_tenant_id}/v2.0"
        return {
            "entra": {
                "type": "openIdConnect",
                "openIdConnectUrl": f"{tenant}/.well-known/openid-configuration",
                "description": "A bearer token for the application in front of this interface, with"
                " the app role that the operation names.",
            }
        }
    return {
        "functionKey": {
            "type": "apiKey",
            "in": "header",
            "name": "x-functions-key",
            "description": "A function key or a host key of the app. The host also takes it as the"
            " query parameter `code`; headers are not kept in logs and histories.",
        }
    }


def _security(function: Registered, settings: Settings) -> list[dict[str, list[str]]]:
    if function.route in OPEN_ROUTES:
        return []
    if settings.authentication is Authentication.ENTRA:
        # Each of the roles alone is enough.
        return [{"entra": [role]} for role in sorted(function.roles, key=str)]
    return [{"functionKey": []}]


def _without_null_defaults(components: dict[str, Any]) -> dict[str, Any]:
    """A default of null says only that the field may be left out, which ``required`` says too."""
    if isinstance(components, dict):
        return {
            key: _without_null_defaults(value)
            for key, value in components.items()
            if not (key == "default" and value is None)
        }
    if isinstance(components, list):
        return [_without_null_defaults(each) for each in components]
    return components
