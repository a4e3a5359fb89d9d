"""The scan of Azure subscriptions: with the credentials it was given, over the wire.

The scanner signs in to Azure Resource Manager, lists the subscriptions that it can see, keeps to
the integration's allow or deny list, and reads each one's resources, for which it needs Reader:

    ERROR     nothing can be read: no sign-in, or no subscription
    WARNING   one of the allow list cannot be seen, or one may not be read
    ACTIVE    else

The texts are ours; the real scanner's are not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from azure.identity.aio import ClientAssertionCredential

from local.simulators.mondoo.scan import ConnectionFailed, Scan, bearer, text_of

LIST_VERSION = "2022-12-01"
RESOURCES_VERSION = "2021-04-01"


class SubscriptionsScan(Scan):
    """The scan of an Azure integration."""

    async def _scan(self, credential: ClientAssertionCredential, client: httpx.AsyncClient) -> None:
        base = self._urls["resource-manager"]
        token = await self._sign_in(credential, base)
        allowed = [each.lower() for each in self._integration.allowed_subscriptions]
        denied = {each.lower() for each in self._integration.denied_subscriptions}
        try:
            visible = await self._visible(client, token, base)
            wanted = allowed or [each for each in visible if each not in denied]
            for identifier in wanted:
                await self._read(client, token, base, identifier, visible)
        except httpx.HTTPError as error:
            raise ConnectionFailed(
                f"could not connect to Azure Resource Manager: {type(error).__name__}"
            ) from error
        if not self._report.subscriptions:
            raise ConnectionFailed("no subscriptions found that can be scanned")
        self._report.connected = True

    async def _visible(self, client: httpx.AsyncClient, token: str, base: str) -> dict[str, str]:
        """Names of the subscriptions that the application can see, by id."""
        url, query = f"{base}/subscriptions", {"api-version": LIST_VERSION}
        found: dict[str, str] = {}
        while url:
            page = _page(await client.get(url, params=query or None, headers=bearer(token)))
            for each in page["value"]:
                found[each["subscriptionId"].lower()] = each["displayName"]
            url, query = page.get("nextLink", ""), {}
        return found

    async def _read(
        self,
        client: httpx.AsyncClient,
        token: str,
        base: str,
        identifier: str,
        visible: Mapping[str, str],
    ) -> None:
        if identifier not in visible:
            self._say("WARNING", identifier, f"could not find subscription {identifier}")
            return
        answer = await client.get(
            f"{base}/subscriptions/{identifier}/resources",
            params={"api-version": RESOURCES_VERSION},
            headers=bearer(token),
        )
        if answer.status_code == 200:
            self._report.subscriptions[identifier] = visible[identifier]
        else:
            self._say(
                "WARNING",
                identifier,
                f"could not read subscription {identifier}: {text_of(answer)}",
            )


def _page(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code != 200:
        raise ConnectionFailed(f"could not list subscriptions: {text_of(answer)}")
    page: dict[str, Any] = answer.json()
    return page
