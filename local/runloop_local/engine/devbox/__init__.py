"""Devboxes: their life, what runs in them, their limits and their records."""
