"""Commands in devboxes, from their start to their end: one, in the background, or on many devboxes at once."""
