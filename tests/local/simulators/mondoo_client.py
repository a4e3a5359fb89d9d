"""The Mondoo API as a client with a service account sees it, for these tests."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from local.simulators import Simulators
from tests.local.simulators.callers import bearer, mondoo_token, web

SPACE = "//captain.api.mondoo.app/spaces/demo-space"

FIELDS = """
    mrn name status type created lastModified lastCheckin lastStateInfo
    scanJobAttempted scanJobStarted scanJobFinished token createdBy { name email }
    assetCounts { assetType total } evaluatedConfigurations { option }
    labels { key value }
    messages { message status identifier timestamp suppressedByUser }
    configurationOptions {
      __typename
      ... on Ms365ConfigurationOptions { tenantId clientId useWif wifSubject wifIssuerURL }
    }
"""
CREATE = (
    "mutation ($input: CreateClientIntegrationInput!)"
    " { createClientIntegration(input: $input) { integration {" + FIELDS + "} } }"
)
GET = (
    "query ($mrn: String!) { clientIntegration(input: {mrn: $mrn}) { integration {"
    + FIELDS
    + "} } }"
)
TRIGGER = (
    "query ($mrn: String!, $type: ActionType!)"
    " { triggerAction(input: {mrn: $mrn, type: $type}) { mrn } }"
)
LOOKS = 400
"""How often a scan is looked at before the test gives up, every 25 ms."""


class Mondoo:
    """Calls with the tokens of one service account."""

    def __init__(self, simulators: Simulators, account: dict[str, str] | None = None) -> None:
        self.url = simulators.urls["mondoo"]
        self.account = account or simulators.mondoo.service_account_json()
        self.client = web(simulators)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.client.aclose()

    async def post(self, path: str, body: Any, **token: Any) -> Any:
        """A POST with a token, which `token` changes."""
        headers = bearer(mondoo_token(self.account, **token))
        return await self.client.post(f"{self.url}{path}", json=body, headers=headers)

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data of a query that must succeed."""
        answer = await self.post("/query", {"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert "errors" not in body, body
        return body["data"]

    async def refused(self, query: str, **variables: Any) -> str:
        """The message of the first error of a query that must be refused."""
        answer = await self.post("/query", {"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["errors"][0]["message"])

    async def create(self, **options: Any) -> Any:
        """A new integration in the demo space."""
        more: dict[str, Any] = {
            name: options.pop(name) for name in ("name", "labels", "scopeMrn") if name in options
        }
        given: dict[str, Any] = {
            "name": "Contoso",
            "type": "MS365",
            "longLivedToken": False,
            "scopeMrn": SPACE,
            "configurationOptions": {
                "ms365ConfigurationOptions": {"tenantId": "t", "clientId": "c", **options}
            },
            **more,
        }
        data = await self.ask(CREATE, input=given)
        return data["createClientIntegration"]["integration"]

    async def read(self, mrn: str) -> Any:
        """An integration."""
        return (await self.ask(GET, mrn=mrn))["clientIntegration"]["integration"]

    async def scan(self, mrn: str) -> Any:
        """Scan, and the integration when the scan is over."""
        before = (await self.read(mrn))["scanJobFinished"]
        await self.ask(TRIGGER, mrn=mrn, type="RUN_SCAN")
        for _ in range(LOOKS):
            found = await self.read(mrn)
            if found["scanJobFinished"] != before:
                return found
            await asyncio.sleep(0.025)
        raise AssertionError("the scan did not finish")
