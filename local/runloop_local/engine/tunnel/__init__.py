"""Tunnels: addresses that lead to a port of a devbox."""
