"""What is kept: the database and its records, layers and snapshots, objects, secrets, and how long each stays."""
