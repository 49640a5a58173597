"""The parameters of operations: one TypedDict each, with the field names of the API."""
