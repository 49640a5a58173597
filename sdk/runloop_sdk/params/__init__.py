"""What callers pass: one TypedDict per operation, by the API's own field names."""
