"""Persistent data: the database and its records, layers and snapshots, objects, secrets, and their retention."""
