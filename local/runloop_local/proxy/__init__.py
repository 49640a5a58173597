"""Tunnels: a reverse proxy on the service's own port that distinguishes them by host name."""
