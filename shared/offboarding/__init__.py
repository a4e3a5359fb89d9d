"""Offboarding one tenant: everything of ours removed, read back as gone, and told in a receipt.

``steps`` holds a module for each step, plain functions over a `shared.context.Context`;
``orchestrator`` decides order and waiting; ``start`` turns a request into an operation. Unlike an
onboarding, an offboarding goes on where a step fails, so that as little as possible stays behind.
"""
