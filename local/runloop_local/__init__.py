"""The Runloop REST API on this machine: an embedded service for notebooks, tests and work without a network."""

__version__ = "0.1.0"
