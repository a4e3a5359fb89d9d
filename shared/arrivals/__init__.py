"""How tenants arrive by themselves: events, queue messages, bulk, customers' consent, partners.

Each way ends in `join`, which makes one operation of any number of arrivals of one tenant.
"""
