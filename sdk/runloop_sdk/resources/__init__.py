"""What users hold: devboxes, executions and the rest, with their operations as methods."""
