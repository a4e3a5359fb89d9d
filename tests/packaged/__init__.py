"""The deployment package where it has nothing but its own requirements.

`python -m tests.packaged` (``make test-package``) makes an environment into which only
``requirements.txt`` is installed, from the package registry, unpacks the package in an empty folder
and runs `suite` on both. It is no part of the other tests because it needs the registry.
"""
