"""The local Functions host against a sample app."""
