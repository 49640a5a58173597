"""Tunnels to the ports of devboxes."""
