"""Every entry point of the bundle. Nothing else lives here.

The settings are read once, now: the app does not start with settings that are missing or malformed.
"""

import os

import azure.durable_functions as df

from shared.config import load_settings
from shared.context import Context
from shared.triggers.access import auth_level
from shared.triggers.audits import audit_requests
from shared.triggers.batches import batch_functions
from shared.triggers.certificates import certificate_functions
from shared.triggers.consent import consent_functions
from shared.triggers.dashboard import dashboard_functions
from shared.triggers.durable import audit_functions, onboarding_functions
from shared.triggers.events import event_functions
from shared.triggers.health import health_functions
from shared.triggers.interface import interface_functions
from shared.triggers.offboarding import offboarding_functions
from shared.triggers.partner_center import partner_center_functions
from shared.triggers.permissions import permission_functions
from shared.triggers.policies import policy_functions
from shared.triggers.rotation import rotation_functions
from shared.triggers.tenants import tenant_functions

context = Context(load_settings(os.environ))

blueprints = [
    tenant_functions(context),
    policy_functions(context),
    audit_requests(context),
    batch_functions(context),
    consent_functions(context),
    event_functions(context),
    partner_center_functions(context),
    permission_functions(context),
    dashboard_functions(context),
    health_functions(),
    onboarding_functions(context),
    audit_functions(context),
    certificate_functions(context),
    rotation_functions(context),
    offboarding_functions(context),
]
blueprints.append(interface_functions(context.settings, blueprints))

app = df.DFApp(http_auth_level=auth_level(context.settings))
for blueprint in blueprints:
    app.register_functions(blueprint)
