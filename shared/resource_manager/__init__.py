"""Azure Resource Manager: the subscriptions of a tenant, and Reader for our application on them."""
