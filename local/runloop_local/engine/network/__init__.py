"""What devboxes may connect to."""
