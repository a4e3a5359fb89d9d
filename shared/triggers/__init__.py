"""Entry points: thin functions that turn a request, an event or a timer into a call.

Each module makes one blueprint from a `shared.context.Context`; ``function_app.py`` registers them
all. No module decides anything: shapes are in `shared.models`, choices in the workflows, the way an
error looks to a caller in `problems`.
"""
