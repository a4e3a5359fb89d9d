"""Mondoo: the GraphQL API, the RPC calls that onboarding uses, and a scanner that really scans.

    schema.graphql, execution      the published operations, executed by graphql-core
    queries, mutations             what they do
    sign_in                        service accounts, their tokens, keyless login
    permissions                    which role may do what, and where
    estate, mrn, status            what is on the platform, how it is named, how it refuses
    scanner, scanner_key           the queue of scans, and what a scan leaves behind
    scan, azure_scan               the scan of a Microsoft 365 tenant, and of Azure subscriptions
    upload, findings               results from outside

Left out: everything that onboarding does not call, and the checks of policies themselves; the score
of an asset follows from what the scan could read.
"""

from __future__ import annotations

from local.simulators.mondoo.service import MondooService

__all__ = ["MondooService"]
