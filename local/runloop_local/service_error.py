"""The error of the user's service, for the command line and the notebook."""


class ServiceError(Exception):
    """The user's service cannot be used; the text is a sentence, with the end of its log where that helps."""
