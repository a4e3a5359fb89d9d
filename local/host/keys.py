"""Access keys of the host: who may call which function when keys are asked for."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable

MASTER, DEFAULT = "_master", "default"

#: System keys of the extensions that have a webhook.
DURABLE, EVENT_GRID = "durabletask_extension", "eventgrid_extension"


class AccessKeys:
    """Generated keys: `_master` opens everything, `default` and a function's own its function."""

    def __init__(self, functions: Iterable[str], *, asked: bool) -> None:
        #: whether keys are asked for at all
        self.asked = asked
        names = (MASTER, DEFAULT, DURABLE, EVENT_GRID, *functions)
        self.by_name = {name: secrets.token_urlsafe(32) for name in names}

    def opens_function(self, given: str | None, function: str, level: str) -> bool:
        """Whether a key opens an HTTP function of this auth level."""
        if level == "anonymous":
            return True
        if level == "admin":
            return self._is_one_of(given, MASTER)
        return self._is_one_of(given, MASTER, DEFAULT, function)

    def opens_admin(self, given: str | None) -> bool:
        """Whether a key opens `/admin`."""
        return self._is_one_of(given, MASTER)

    def opens_webhook(self, given: str | None, extension: str) -> bool:
        """Whether a key opens the webhook of an extension."""
        return self._is_one_of(given, MASTER, extension)

    def _is_one_of(self, given: str | None, *names: str) -> bool:
        if not self.asked:
            return True
        return given is not None and any(
            hmac.compare_digest(given.encode(), self.by_name[name].encode()) for name in names
        )
