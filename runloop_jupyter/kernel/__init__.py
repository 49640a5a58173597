"""The notebook's kernel: its event loop, what it owns in a service, and how the service learns that it lives."""
