"""Tunnels as a reverse proxy on the service's own port, told apart by host name."""
