"""Links into the Mondoo Console.

Only the page of a space's Microsoft 365 integrations has a published address; it is where
``cnspec`` sends people too.
"""

from __future__ import annotations


def integration_link(endpoint: str, space: str) -> str:
    """The page of the Microsoft 365 integrations of ``space`` (an MRN).

    ``endpoint`` is the API's base URL: the edge environment has a console of its own.
    """
    host = "edge.app.mondoo.com" if ".edge." in endpoint else "app.mondoo.com"
    return f"https://{host}/space/integrations/ms365?spaceId={space.rsplit('/', 1)[-1]}"
