"""The REST API, one short method per operation."""
