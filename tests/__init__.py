"""The specification, as tests: mirrors ``shared`` and ``local``, and the product end to end."""
