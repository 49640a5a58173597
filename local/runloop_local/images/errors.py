"""The errors of this package.

ImageError            for the user, one sentence
SourceError           what a source said or did; completes "... cannot be pulled: ..."
├── NotThereError     the source does not have it
└── WrongDigestError  what came is not what was asked for
"""


class ImageError(Exception):
    """An image cannot be had; the text is one sentence for the user."""


class SourceError(Exception):
    """A registry, an engine, a folder or an archive does not give an image; the text completes a sentence."""


class NotThereError(SourceError):
    """The source does not have what was asked for."""


class WrongDigestError(SourceError):
    """What came does not have the digest or the size that was asked for."""
