"""The logic of the embedded service, without HTTP."""
