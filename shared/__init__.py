"""Everything the functions do, and nothing about how they are hosted.

Imports point one way: triggers -> workflows (onboarding) -> services (entra, vault, mondoo,
tenants, notifications) -> models, errors, clouds, config, manifest. This package never imports
``local``.
"""
