"""The names of the kinds of resources: after %runloop, in messages of the panel, and in what completion remembers."""

DEVBOX = "devbox"
BLUEPRINT = "blueprint"
SNAPSHOT = "snapshot"
OBJECT = "object"
SECRET = "secret"  # noqa: S105 - no password
POLICY = "policy"
