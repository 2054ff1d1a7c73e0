"""A text that must be nowhere, and what the product's own handler writes."""

import io
import logging
from collections.abc import Iterator

import pytest

from benchmarks.quiet_logs import QuietFormatter

PLANTED = "the-planted-secret-of-ada"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the product's own handler would write at the level INFO, of every logger."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(QuietFormatter("{levelname} {name}: {message}", style="{"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)
