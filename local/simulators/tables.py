"""Azure Table Storage, as its own client calls it: tables, entities, conditions, pages.

Callers come with an Entra token for storage and a data role (`contributors`). Writes answer with an
ETag that changes each time; updates and deletes with `If-Match` are refused when it has changed.
Queries are sorted by partition and row key and give at most 1,000 entities a page. Left out:
transactions, access policies, shared keys.

Source: table service REST reference; error codes as its Python client lists them.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import unquote

from aiohttp import web

from local.simulators.entra import AZURE_CLI, TokenRejected, bearer
from local.simulators.faults import Fault
from local.simulators.service import CallDescription, Service, body_of, request_id_of
from local.simulators.tables_entities import (
    Entity,
    EntityRefused,
    Property,
    check_key,
    instant,
    read_entity,
)
from local.simulators.tables_filter import Condition, FilterRefused, cursor, parse_filter

if TYPE_CHECKING:
    from local.simulators import Simulators

AUDIENCE: Final = "https://storage.azure.com"
MAX_PAGE: Final = 1000
_TABLE = r"(?P<table>[A-Za-z][A-Za-z0-9]{2,62})"
_TABLE_PATH = re.compile(rf"/{_TABLE}(?:\(\))?")
_TABLES_ENTRY = re.compile(rf"/Tables\('{_TABLE}'\)")
_ENTITY_PATH = re.compile(
    rf"/{_TABLE}\(PartitionKey='(?P<partition>(?:[^']|'')*)',RowKey='(?P<row>(?:[^']|'')*)'\)"
)
_TEXTS = {
    "TableNotFound": "The table specified does not exist.",
    "TableAlreadyExists": "The table specified already exists.",
    "EntityAlreadyExists": "The specified entity already exists.",
    "ResourceNotFound": "The specified resource does not exist.",
    "UpdateConditionNotSatisfied": (
        "The update condition specified in the request was not satisfied."
    ),
    "InvalidInput": "One of the request inputs is not valid.",
    "InvalidResourceName": "The specified resource name contains invalid characters.",
    "PropertiesNeedValue": "The values are not specified for all properties in the entity.",
    "MissingRequiredHeader": "An HTTP header that's mandatory for this request is not specified.",
    "NotImplemented": "The requested operation is not implemented on the specified resource.",
    "AuthorizationPermissionMismatch": (
        "This request is not authorized to perform this operation using this permission."
    ),
    "InvalidAuthenticationInfo": "Server failed to authenticate the request.",
    "NoAuthenticationInformation": (
        "Server failed to authenticate the request. Please refer to the information in the"
        " www-authenticate header."
    ),
}


class TableRefused(Exception):
    """An error answer: HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message or _TEXTS[code]


class TablesService(Service):
    """One storage account's tables: name to entities by (partition key, row key)."""

    name: ClassVar[str] = "tables"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self.tables: dict[str, dict[tuple[str, str], Entity]] = {}
        self.contributors = {simulators.world.managed_identity.id, AZURE_CLI}
        self._last: tuple[datetime, int] | None = None

    def put_entity(self, table: str, document: dict[str, Any]) -> Entity:
        """Write an entity without a call, and its table where it is new: for seeding."""
        partition, row, properties = read_entity(document)
        if partition is None or row is None:
            raise ValueError("an entity has a partition key and a row key")
        return self._store(self.tables.setdefault(table, {}), (partition, row), properties)

    def routes(self) -> list[web.RouteDef]:
        """One handler: the service's addresses have parentheses where routers want slashes."""
        return [web.route("*", "/{path:.*}", self._handle)]

    def describe(self, request: web.Request) -> CallDescription:
        """The method with the kind of address: `/Tables`, `/{table}`, one entity."""
        path = _path(request)
        if path == "/Tables" or _TABLES_ENTRY.fullmatch(path):
            shown = path if path == "/Tables" else "/Tables('{table}')"
        elif _ENTITY_PATH.fullmatch(path):
            shown = "/{table}(PartitionKey,RowKey)"
        else:
            shown = "/{table}"
        try:
            claims = self.simulators.entra.mint.read(bearer(request))
        except TokenRejected:
            claims = None
        return CallDescription(
            f"{request.method} {shown}",
            caller=claims.app_id if claims else None,
            write=request.method != "GET",
        )

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        """The table service's envelope."""
        return _envelope(fault.code, fault.message)

    async def _handle(self, request: web.Request) -> web.Response:
        headers = {"x-ms-request-id": request_id_of(request), "x-ms-version": "2019-02-02"}
        try:
            self._authorise(request)
            status, body, more = self._dispatch(request)
        except TableRefused as error:
            headers["x-ms-error-code"] = error.code
            if error.status == 401:
                headers["WWW-Authenticate"] = (
                    f"Bearer authorization_uri={self.simulators.urls['entra']}/"
                    f"{self.simulators.world.home.id}/oauth2/authorize resource_id={AUDIENCE}"
                )
            return web.json_response(
                _envelope(error.code, error.message), status=error.status, headers=headers
            )
        headers.update(more)
        if body is None:
            return web.Response(status=status, headers=headers)
        headers["Content-Type"] = "application/json;odata=minimalmetadata;charset=utf-8"
        return web.Response(status=status, body=json.dumps(body).encode(), headers=headers)

    def _authorise(self, request: web.Request) -> None:
        try:
            token = bearer(request)
        except TokenRejected as error:
            raise TableRefused(401, "NoAuthenticationInformation") from error
        try:
            claims = self.simulators.entra.verify(token, AUDIENCE)
        except TokenRejected as error:
            raise TableRefused(401, "InvalidAuthenticationInfo", error.reason) from error
        if claims.tenant_id != self.simulators.world.home.id:
            raise TableRefused(401, "InvalidAuthenticationInfo", "Issuer did not match.")
        if not self.contributors & {claims.object_id, claims.app_id}:
            raise TableRefused(403, "AuthorizationPermissionMismatch")
        if "x-ms-version" not in request.headers:
            raise TableRefused(400, "MissingRequiredHeader")

    def _dispatch(self, request: web.Request) -> tuple[int, object, dict[str, str]]:
        """Status, body and headers of a call that may be made."""
        path, method = _path(request), request.method
        if path == "/Tables":
            if method == "POST":
                return self._create_table(request)
            if method == "GET":
                return self._list_tables(request)
        named = _TABLES_ENTRY.fullmatch(path)
        if named is not None and method == "DELETE":
            self._table(named["table"])
            del self.tables[named["table"]]
            return 204, None, {}
        one = _ENTITY_PATH.fullmatch(path)
        if one is not None:
            keys = (one["partition"].replace("''", "'"), one["row"].replace("''", "'"))
            return self._entity_call(request, self._table(one["table"]), keys)
        whole = _TABLE_PATH.fullmatch(path)
        if whole is None:
            raise TableRefused(400, "InvalidResourceName")
        if method == "POST":
            return self._insert(request, whole["table"])
        if method == "GET":
            return self._query(request, whole["table"])
        raise TableRefused(501, "NotImplemented")

    def _create_table(self, request: web.Request) -> tuple[int, object, dict[str, str]]:
        document = _json(request)
        name = document.get("TableName") if isinstance(document, dict) else None
        if not isinstance(name, str):
            raise TableRefused(400, "PropertiesNeedValue")
        if not re.fullmatch(_TABLE, name) or name.lower() == "tables":
            raise TableRefused(400, "InvalidResourceName")
        if any(known.lower() == name.lower() for known in self.tables):
            raise TableRefused(409, "TableAlreadyExists")
        self.tables[name] = {}
        if _no_content(request):
            return 204, None, {"Preference-Applied": "return-no-content"}
        metadata = f"{self.url}/$metadata#Tables/@Element"
        return 201, {"odata.metadata": metadata, "TableName": name}, {}

    def _list_tables(self, request: web.Request) -> tuple[int, object, dict[str, str]]:
        condition = _condition(request)
        names = [name for name in sorted(self.tables) if condition({"TableName": name})]
        start = request.query.get("NextTableName", "")
        names = [name for name in names if name >= start]
        size = _top(request)
        headers = {"x-ms-continuation-NextTableName": names[size]} if len(names) > size else {}
        body = {
            "odata.metadata": f"{self.url}/$metadata#Tables",
            "value": [{"TableName": name} for name in names[:size]],
        }
        return 200, body, headers

    def _insert(self, request: web.Request, name: str) -> tuple[int, object, dict[str, str]]:
        table = self._table(name)
        partition, row, properties = _entity(request)
        if partition is None or row is None:
            raise TableRefused(400, "PropertiesNeedValue")
        if (partition, row) in table:
            raise TableRefused(409, "EntityAlreadyExists")
        entity = self._store(table, (partition, row), properties)
        headers = {"ETag": entity.etag}
        if _no_content(request):
            return 204, None, headers | {"Preference-Applied": "return-no-content"}
        metadata = f"{self.url}/$metadata#{name}/@Element"
        return 201, {"odata.metadata": metadata, **entity.as_json()}, headers

    def _entity_call(
        self,
        request: web.Request,
        table: dict[tuple[str, str], Entity],
        keys: tuple[str, str],
    ) -> tuple[int, object, dict[str, str]]:
        try:
            for key in keys:
                check_key(key)
        except EntityRefused as error:
            raise TableRefused(400, error.code, error.message) from error
        match request.method:
            case "GET":
                entity = _existing(table, keys)
                return 200, entity.as_json(_selected(request)), {"ETag": entity.etag}
            case "DELETE":
                if "If-Match" not in request.headers:
                    raise TableRefused(400, "MissingRequiredHeader")
                _check_match(request, _existing(table, keys))
                del table[keys]
                return 204, None, {}
            case "PUT" | "PATCH" | "MERGE" as method:
                partition, row, properties = _entity(request)
                if (partition or keys[0], row or keys[1]) != keys:
                    raise TableRefused(400, "InvalidInput")
                if "If-Match" in request.headers:
                    _check_match(request, _existing(table, keys))
                old = table.get(keys)
                if method != "PUT" and old is not None:
                    properties = {**old.properties, **properties}
                return 204, None, {"ETag": self._store(table, keys, properties).etag}
        raise TableRefused(501, "NotImplemented")

    def _query(self, request: web.Request, name: str) -> tuple[int, object, dict[str, str]]:
        table = self._table(name)
        condition = _condition(request)
        start = (_cursor(request, "NextPartitionKey"), _cursor(request, "NextRowKey"))
        found = [
            table[keys] for keys in sorted(table) if keys >= start and condition(table[keys].row())
        ]
        size, selected = _top(request), _selected(request)
        headers = {}
        if len(found) > size:
            following = found[size]
            headers = {
                "x-ms-continuation-NextPartitionKey": cursor(following.partition_key),
                "x-ms-continuation-NextRowKey": cursor(following.row_key),
            }
        body = {
            "odata.metadata": f"{self.url}/$metadata#{name}",
            "value": [entity.as_json(selected) for entity in found[:size]],
        }
        return 200, body, headers

    def _table(self, name: str) -> dict[tuple[str, str], Entity]:
        for known, table in self.tables.items():
            if known.lower() == name.lower():
                return table
        raise TableRefused(404, "TableNotFound")

    def _store(
        self,
        table: dict[tuple[str, str], Entity],
        keys: tuple[str, str],
        properties: dict[str, Property],
    ) -> Entity:
        """Write an entity with a timestamp that no write before has had."""
        now = self.simulators.clock.now()
        tick = 0
        if self._last is not None and self._last[0] >= now:
            now, tick = self._last[0], self._last[1] + 1
            if tick > 9:
                now, tick = now + datetime.resolution, 0
        self._last = (now, tick)
        entity = Entity(*keys, instant(now, tick), properties)
        table[keys] = entity
        return entity


def _existing(table: dict[tuple[str, str], Entity], keys: tuple[str, str]) -> Entity:
    try:
        return table[keys]
    except KeyError as error:
        raise TableRefused(404, "ResourceNotFound") from error


def _check_match(request: web.Request, entity: Entity) -> None:
    wanted = request.headers["If-Match"]
    if wanted not in ("*", entity.etag):
        raise TableRefused(412, "UpdateConditionNotSatisfied")


def _path(request: web.Request) -> str:
    """The path with every escape resolved, slashes in keys included."""
    return unquote(request.rel_url.raw_path)


def _json(request: web.Request) -> object:
    try:
        document: object = json.loads(body_of(request))
    except ValueError as error:
        raise TableRefused(400, "InvalidInput") from error
    return document


def _entity(request: web.Request) -> tuple[str | None, str | None, dict[str, Property]]:
    try:
        return read_entity(_json(request))
    except EntityRefused as error:
        raise TableRefused(400, error.code, error.message) from error


def _no_content(request: web.Request) -> bool:
    return request.headers.get("Prefer") == "return-no-content"


def _condition(request: web.Request) -> Condition:
    text = request.query.get("$filter")
    if not text:
        return lambda row: True
    try:
        return parse_filter(text)
    except FilterRefused as error:
        raise TableRefused(400, "InvalidInput", str(error)) from error


def _selected(request: web.Request) -> set[str] | None:
    text = request.query.get("$select")
    return {name.strip() for name in text.split(",")} if text else None


def _top(request: web.Request) -> int:
    text = request.query.get("$top")
    if text is None:
        return MAX_PAGE
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PAGE:
        raise TableRefused(400, "InvalidInput")
    return int(text)


def _cursor(request: web.Request, name: str) -> str:
    """A key from a continuation parameter; empty where there is none."""
    text = request.query.get(name)
    if not text:
        return ""
    try:
        return b64decode(text.removeprefix("1!"), validate=True).decode()
    except (Base64Error, ValueError) as error:
        raise TableRefused(400, "InvalidInput") from error


def _envelope(code: str, message: str) -> dict[str, Any]:
    return {"odata.error": {"code": code, "message": {"lang": "en-US", "value": message}}}
