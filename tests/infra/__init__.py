"""The promises of infra/, held against the parsed templates: there is no compiler to ask."""
