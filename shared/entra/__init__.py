"""Entra ID: who we are in a tenant, and everything we read and change there.

`identity` says who we are, `graph` talks to Microsoft Graph, and `reactions` and `sign_in_errors`
are the two tables that say what an answer means. Above them is one module for each kind of object:
`applications` (with `key_credentials`), `service_principals`, `app_role_assignments` and
`directory_roles`. `observation` reads all of them at once, `sign_in` proves that the result works.

Every failure leaves this package as a member of the family in `shared.errors`.
"""
