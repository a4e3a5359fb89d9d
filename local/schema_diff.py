"""``python -m local schema-diff``: Mondoo's live schema against the one that we work from.

Asks the platform for its schema (introspection, which needs an API token in ``MONDOO_API_TOKEN``;
``MONDOO_API_ENDPOINT`` names another platform than the US one) and says what of it differs from
what our documents and the simulator rely on. Only what they touch is compared, and by shape:
names of payload types are published nowhere, so ours need not be theirs; fields, arguments, inputs
and enum values are. What the platform offers beyond that is none of our business.

Exit code 0: nothing that we use has changed; 1: something has, one line each; 2: there was no
schema to compare with.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_client_schema,
    build_schema,
    get_introspection_query,
    get_named_type,
    is_required_argument,
    is_required_input_field,
    parse,
    validate,
)

US = "https://us.api.mondoo.com"
TIMEOUT = 60.0
"""Seconds; the schema of the platform is large."""


def schema_diff(environ: Mapping[str, str] | None = None, *, ca_file: Path | None = None) -> int:
    """Compare, print, and give the exit code."""
    environ = os.environ if environ is None else environ
    token = environ.get("MONDOO_API_TOKEN")
    if not token:
        print("MONDOO_API_TOKEN is missing: an API token of any space", file=sys.stderr)
        return 2
    endpoint = environ.get("MONDOO_API_ENDPOINT", US).rstrip("/").removesuffix("/query")
    try:
        live = live_schema(f"{endpoint}/query", token, ca_file=ca_file)
    except (httpx.HTTPError, ValueError) as error:
        print(f"no schema from {endpoint}: {error}", file=sys.stderr)
        return 2
    found = sorted(set(differences(our_schema(), live)))
    for difference in found:
        print(difference)
    print(f"{len(found)} differences from {endpoint}")
    return 1 if found else 0


def live_schema(url: str, token: str, *, ca_file: Path | None = None) -> GraphQLSchema:
    """The schema that a platform says it has.

    Raises:
        httpx.HTTPError: there was no answer, or one with another status than 200.
        ValueError: the answer holds no schema.
    """
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    answer = httpx.post(
        url,
        json={"query": get_introspection_query(descriptions=False)},
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT,
        verify=context,
    )
    answer.raise_for_status()
    body: Any = answer.json()
    data = body.get("data") if isinstance(body, dict) else None
    if not data:
        raise ValueError("the answer holds no schema")
    try:
        return build_client_schema(data)
    except TypeError as error:
        raise ValueError(f"the schema cannot be read: {error}") from error


def our_schema() -> GraphQLSchema:
    """What we work from."""
    source = files("local.simulators.mondoo").joinpath("schema.graphql")
    return build_schema(source.read_text(encoding="utf-8"))


def documents() -> dict[str, str]:
    """Our documents by name."""
    folder = files("shared.mondoo") / "documents"
    return {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir()}


def differences(ours: GraphQLSchema, live: GraphQLSchema) -> Iterator[str]:
    """What of ours the live schema does not have, or has otherwise; one sentence each."""
    for name, text in documents().items():
        for error in validate(live, parse(text)):
            yield f"documents/{name}: {error.message}"
    compared: set[tuple[str, str]] = set()
    for kind, here, there in (
        ("Query", ours.query_type, live.query_type),
        ("Mutation", ours.mutation_type, live.mutation_type),
    ):
        if here is not None and there is not None:
            yield from _compare(here, there, kind, compared)
        elif here is not None:
            yield f"{kind}: gone"


def _compare(
    ours: GraphQLNamedType, live: GraphQLNamedType, place: str, compared: set[tuple[str, str]]
) -> Iterator[str]:
    """Two types that stand in the same place."""
    if (ours.name, live.name) in compared:
        return
    compared.add((ours.name, live.name))
    composite = GraphQLObjectType | GraphQLInterfaceType
    if isinstance(ours, composite) and isinstance(live, composite):
        yield from _fields(ours, live, place, compared)
    elif isinstance(ours, GraphQLInputObjectType) and isinstance(live, GraphQLInputObjectType):
        yield from _inputs(ours.fields, live.fields, place, compared, is_required_input_field)
    elif isinstance(ours, GraphQLEnumType) and isinstance(live, GraphQLEnumType):
        for value in sorted(set(ours.values) - set(live.values)):
            yield f"{place}: value {value} is gone"
    elif isinstance(ours, GraphQLUnionType) and isinstance(live, GraphQLUnionType):
        members = {member.name: member for member in live.types}
        for member in ours.types:
            if member.name not in members:
                yield f"{place}: member {member.name} is gone"
            else:
                yield from _compare(member, members[member.name], member.name, compared)
    elif type(ours) is not type(live):
        yield f"{place}: {_kind(ours)} {ours.name} has become {_kind(live)} {live.name}"
    elif ours.name != live.name:
        yield f"{place}: {ours.name} has become {live.name}"


def _fields(
    ours: GraphQLObjectType | GraphQLInterfaceType,
    live: GraphQLObjectType | GraphQLInterfaceType,
    place: str,
    compared: set[tuple[str, str]],
) -> Iterator[str]:
    for name, field in ours.fields.items():
        where = f"{place}.{name}"
        there = live.fields.get(name)
        if there is None:
            yield f"{where}: gone"
            continue
        yield from _inputs(field.args, there.args, f"{where}()", compared, is_required_argument)
        yield from _compare(get_named_type(field.type), get_named_type(there.type), where, compared)


def _inputs(
    ours: Mapping[str, Any],
    live: Mapping[str, Any],
    place: str,
    compared: set[tuple[str, str]],
    required: Callable[[Any], bool],
) -> Iterator[str]:
    """Arguments of a field, or fields of an input."""
    for name, entry in ours.items():
        there = live.get(name)
        if there is None:
            # Introspection leaves deprecated inputs out; we do not use them either.
            if entry.deprecation_reason is None:
                yield f"{place}.{name}: gone"
            continue
        if required(there) and not required(entry):
            yield f"{place}.{name}: has become required"
        yield from _compare(
            get_named_type(entry.type), get_named_type(there.type), f"{place}.{name}", compared
        )
    for name in sorted(set(live) - set(ours)):
        if required(live[name]):
            yield f"{place}.{name}: new, and required"


def _kind(named: GraphQLNamedType) -> str:
    return type(named).__name__.removeprefix("GraphQL").removesuffix("Type").lower()
