"""The next version: the orchestrators on azure-functions-durable 2.x, the app in Azure's worker."""
