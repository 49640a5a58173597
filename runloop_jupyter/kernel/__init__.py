"""The notebook's kernel: its event loop, the devboxes that it owns, and how a service learns that it is alive."""
