"""The base of every failure of the embedded services."""


class EmbeddedError(Exception):
    """An embedded service cannot be started, reached or stopped; the text says what to do about it."""
