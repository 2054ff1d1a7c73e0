"""What commands of the router tell a person in one sentence."""

from typing import ClassVar

from benchmarks.management.telling import TellingCommand
from benchmarks.units import grams_to_milligrams
from router.choosing_labels import NothingWaits
from router.evaluating import NothingToCompare
from router.index import IndexStoreError
from router.indexing import EmbedderMismatch, NoIndex
from router.jobs import IndexNotBuilt
from router.models import PromptIndex
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
        IndexNotBuilt,
        NothingWaits,
    )


def energy_of(index: PromptIndex) -> str:
    """Return what building an index cost in one sentence, or why that is not known."""
    measured = index.measurement
    if measured is None:
        return "The energy of building it was not measured."
    if measured.energy_j is None or measured.sci_gco2e is None:
        return f"The energy of building it is missing: {measured.missing_reason}"
    return (
        f"Building it (embeddings and insertion, n = {index.prompt_count} prompts) took {measured.energy_j:.4g} J and "
        f"emitted {grams_to_milligrams(measured.sci_gco2e):.4g} mgCO2e ({measured.quality}; {measured.boundary})."
    )
