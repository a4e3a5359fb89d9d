"""Small entries that outlive the process: events seen, consents asked for, batches and lines.

Kept where the tenant records are (``TENANT_RECORDS``), apart from them: nothing in here is needed
to know a tenant.
"""
