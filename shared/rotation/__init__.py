"""Rotation: a new certificate beside the old one, and the old one gone only when nobody needs it.

How far a rotation has come is in the tenant record (`shared.models.Rotation`), moved on by one
table (`shared.transitions.ROTATION`), so that any later operation goes on where one stopped.
``steps`` holds the work of each edge, ``orchestrator`` the order, ``due`` the decision when.
"""
