"""Execution of GraphQL requests against the schema file.

Answers have the forms of the platform's GraphQL server: a request that does not fit the schema gets
HTTP 422 with `GRAPHQL_PARSE_FAILED` or `GRAPHQL_VALIDATION_FAILED`; a refusal by a resolver is an
entry of `errors` in an answer with HTTP 200, whose message is gRPC text. A null where the schema
promises a value empties what is above it, so that data can be partial.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from graphql import (
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from graphql.language import DocumentNode, FieldNode

from local.simulators.mondoo.status import Code, StatusError

Spelling = Literal["PermissionDenied", "PERMISSION_DENIED"] | None
"""How `extensions.code` is written, after the example of one code; `None` leaves it out."""

Resolver = Callable[..., object]


def load_schema(
    queries: Mapping[str, Resolver], mutations: Mapping[str, Resolver]
) -> GraphQLSchema:
    """The schema of the file with a resolver for each root field.

    Raises:
        ValueError: a root field has no resolver, or a resolver has no field.
    """
    source = files(__package__).joinpath("schema.graphql").read_text(encoding="utf-8")
    schema = build_schema(source)
    for kind, resolvers in ((schema.query_type, queries), (schema.mutation_type, mutations)):
        if kind is None or set(kind.fields) != set(resolvers):
            raise ValueError("schema.graphql and the resolvers do not name the same operations")
        for name, resolver in resolvers.items():
            kind.fields[name].resolve = _field(resolver)
    return schema


def _field(resolver: Resolver) -> Callable[..., object]:
    def resolve(_: object, info: GraphQLResolveInfo[Any], **arguments: Any) -> object:
        return resolver(info.context, **arguments)

    return resolve


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A request as it was posted."""

    query: str
    variables: dict[str, Any]
    operation_name: str | None


def read_request(body: bytes) -> GraphQLRequest | None:
    """The request in a body, or `None` if it is none."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("query"), str):
        return None
    variables = document.get("variables")
    name = document.get("operationName")
    if not isinstance(variables, dict | None) or not isinstance(name, str | None):
        return None
    return GraphQLRequest(document["query"], variables or {}, name)


def root_fields(request: GraphQLRequest) -> tuple[OperationType, list[str]] | None:
    """Kind and root fields of the operation that a request runs; `None` if it does not parse."""
    try:
        document = _parsed(request.query)
    except GraphQLError:
        return None
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode) and (
            request.operation_name is None
            or (definition.name is not None and definition.name.value == request.operation_name)
        ):
            names = [
                node.name.value
                for node in definition.selection_set.selections
                if isinstance(node, FieldNode)
            ]
            return definition.operation, names
    return None


def run(
    schema: GraphQLSchema, request: GraphQLRequest, context: object, spelling: Spelling
) -> tuple[int, dict[str, object]]:
    """Execute a request: HTTP status and body."""
    try:
        document = _parsed(request.query)
    except GraphQLError as error:
        return 422, _protocol_error([error], "GRAPHQL_PARSE_FAILED")
    found = _faults(schema, request.query)
    if found:
        return 422, _protocol_error(found, "GRAPHQL_VALIDATION_FAILED")
    result = execute_sync(
        schema,
        document,
        context_value=context,
        variable_values=request.variables,
        operation_name=request.operation_name,
    )
    if result.errors and result.data is None and all(e.path is None for e in result.errors):
        return 422, _protocol_error(result.errors, "GRAPHQL_VALIDATION_FAILED")
    body: dict[str, object] = {"data": result.data}
    if result.errors:
        body["errors"] = [_resolver_error(error, spelling) for error in result.errors]
    return 200, body


@lru_cache(maxsize=256)
def _parsed(query: str) -> DocumentNode:
    """A document; clients send the same few again and again."""
    return parse(query)


@lru_cache(maxsize=256)
def _faults(schema: GraphQLSchema, query: str) -> list[GraphQLError]:
    """What is wrong with a document by the schema, whatever its variables."""
    return validate(schema, _parsed(query))


def error_entry(error: StatusError, spelling: Spelling) -> dict[str, object]:
    """The entry of `errors` for a refusal, without its place in the query."""
    entry: dict[str, object] = {"message": str(error)}
    if spelling is not None:
        code = error.code
        shown = code.spelling if spelling == "PermissionDenied" else code.name
        entry["extensions"] = {"code": shown}
    return entry


def _resolver_error(error: GraphQLError, spelling: Spelling) -> dict[str, object]:
    cause = error.original_error
    if not isinstance(cause, StatusError):
        cause = StatusError(Code.INTERNAL, error.message)
    place = error.formatted
    entry = error_entry(cause, spelling)
    for name in ("locations", "path"):
        if place.get(name) is not None:
            entry[name] = place[name]
    return entry


def _protocol_error(errors: list[GraphQLError], code: str) -> dict[str, object]:
    entries = []
    for error in errors:
        entry = dict(error.formatted)
        entry["extensions"] = {"code": code}
        entries.append(entry)
    return {"errors": entries, "data": None}
