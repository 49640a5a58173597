"""Network policies of devboxes."""
