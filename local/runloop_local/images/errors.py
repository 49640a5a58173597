"""The error of this package."""


class ImageError(Exception):
    """An image cannot be had; the text is one sentence for the user."""
