"""The objects that users work with: devboxes, executions and others, with their operations as methods."""
