"""A Functions host without the cloud: runs `function_app.py` on loopback, from pip packages alone.

with FunctionsHost(Path("function_app.py"), settings) as host:
    httpx.post(f"{host.url}/api/...")
"""

from local.host.host import FunctionsHost
from local.host.loading import IndexingError

__all__ = ["FunctionsHost", "IndexingError"]
