"""The GraphQL documents against the schema: what is wrong with one shows here, not in a tenant."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from graphql import FieldNode, GraphQLSchema, OperationDefinitionNode, build_schema, parse, validate

import local.simulators.mondoo

DOCUMENTS = sorted(
    (entry for entry in (files("shared.mondoo") / "documents").iterdir()), key=lambda e: e.name
)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    folder = Path(local.simulators.mondoo.__file__).parent
    return build_schema((folder / "schema.graphql").read_text("utf-8"))


def only_operation(text: str) -> OperationDefinitionNode:
    (definition,) = parse(text).definitions
    assert isinstance(definition, OperationDefinitionNode)
    return definition


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda entry: entry.name)
def test_a_document_is_valid_and_holds_one_operation_named_as_its_file(
    document: Path, schema: GraphQLSchema
) -> None:
    text = document.read_text("utf-8")
    assert validate(schema, parse(text)) == []
    operation = only_operation(text)
    assert operation.name is not None
    words = document.name.removesuffix(".graphql").split("_")
    assert operation.name.value == "".join(word.capitalize() for word in words)


def test_no_document_asks_for_a_certificate_or_a_token() -> None:
    """What Mondoo keeps secret shall not travel back, should a schema ever offer it."""

    def fields(operation: OperationDefinitionNode) -> set[str]:
        found: set[str] = set()
        waiting = list(operation.selection_set.selections)
        while waiting:
            node = waiting.pop()
            if isinstance(node, FieldNode):
                found.add(node.name.value)
            inner = getattr(node, "selection_set", None)
            waiting += inner.selections if inner else ()
        return found

    for document in DOCUMENTS:
        selected = fields(only_operation(document.read_text("utf-8")))
        assert not selected & {"token", "certificate", "privateKey"}, document.name


def test_every_file_is_used_by_the_client_and_every_use_has_its_file() -> None:
    package = Path(str(files("shared.mondoo")))
    sources = "".join(path.read_text("utf-8") for path in package.glob("*.py"))
    names = {document.name.removesuffix(".graphql") for document in DOCUMENTS}
    used = {name for name in names if f'"{name}"' in sources}
    assert used == names
