"""Resources of a service by what users call them: looked up, completed, and whose they are."""
