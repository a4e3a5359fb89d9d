"""The permission request: what a security team is asked to agree to, and why, ready to be signed.

`request` gathers it from the permission manifest and from the rights of our own automation; as JSON
it is that model, `markdown` and `page` write it for people. ``docs/permissions.md`` is made of the
same chapters.
"""
