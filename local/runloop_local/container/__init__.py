"""The service in a container, for machines that are not Linux: by the `docker` or `podman` that is there.

Imports on every system, Windows included, and nothing of the service itself.
"""
