"""What commands of the router tell a person in one sentence."""

from typing import ClassVar

from benchmarks.management.telling import TellingCommand
from router.evaluating import NothingToCompare
from router.index import IndexStoreError
from router.indexing import EmbedderMismatch, NoIndex
from router.policy import NoCandidate
from router.vectors import DimensionMismatch, UnusableEmbedding


class RouterCommand(TellingCommand):
    """A command of the router; its expected failures become a message."""

    told: ClassVar[tuple[type[Exception], ...]] = (
        NoIndex,
        EmbedderMismatch,
        DimensionMismatch,
        UnusableEmbedding,
        IndexStoreError,
        NoCandidate,
        NothingToCompare,
    )
