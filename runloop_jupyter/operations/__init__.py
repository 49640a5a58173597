"""What can be done to resources, for the magics and the panel alike."""
