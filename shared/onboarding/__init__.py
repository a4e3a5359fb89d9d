"""Onboarding one tenant: steps, the order they run in, and the dry run of the same steps.

``steps`` holds a module for each step, plain functions over a `shared.context.Context`;
``orchestrator`` only decides order and waiting; ``plan`` runs the same steps without a write.
"""
