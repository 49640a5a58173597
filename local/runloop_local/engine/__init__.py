"""What the embedded service does, without HTTP."""
