"""What is known of a request by its path alone, before it reaches a route."""

STORAGE = "/storage"
"""The path prefix of signed URLs for the bytes of objects."""


def is_connection(path: str) -> bool:
    """True for requests that last as long as a kernel, and are no activity of it."""
    return path.startswith("/local/kernels/") and path.endswith("/connection")


def devbox_of(path: str) -> str:
    """The id of the devbox in a path of the API, or an empty string."""
    _, _, found = path.partition("/v1/devboxes/")
    return found.partition("/")[0]
