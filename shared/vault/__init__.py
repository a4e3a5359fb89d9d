"""Key Vault: certificates with their keys, and the secrets that we need ourselves."""
