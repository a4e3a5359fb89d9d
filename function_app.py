"""Every entry point of the bundle. Nothing else lives here.

The settings are read once, now: the app does not start with settings that are missing or malformed.
"""

import os

import azure.durable_functions as df

from shared.config import load_settings
from shared.context import Context
from shared.triggers.access import auth_level
from shared.triggers.audits import audit_requests
from shared.triggers.certificates import certificate_functions
from shared.triggers.durable import audit_functions, onboarding_functions
from shared.triggers.health import health_functions
from shared.triggers.offboarding import offboarding_functions
from shared.triggers.policies import policy_functions
from shared.triggers.rotation import rotation_functions
from shared.triggers.tenants import tenant_functions

context = Context(load_settings(os.environ))

app = df.DFApp(http_auth_level=auth_level(context.settings))
app.register_functions(tenant_functions(context))
app.register_functions(policy_functions(context))
app.register_functions(audit_requests(context))
app.register_functions(health_functions())
app.register_functions(onboarding_functions(context))
app.register_functions(audit_functions(context))
app.register_functions(certificate_functions(context))
app.register_functions(rotation_functions(context))
app.register_functions(offboarding_functions(context))
