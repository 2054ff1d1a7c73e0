"""What commands of the router tell a person in one sentence."""

from typing import ClassVar

from benchmarks.federating import find_deployment
from benchmarks.management.telling import TellingCommand
from benchmarks.models import Deployment
from benchmarks.units import grams_to_milligrams
from benchmarks.vetting import Unfit
from router.admitting import NotJudged
from router.choosing_labels import NothingWaits
from router.embedding import EmbedderMismatch
from router.evaluating import NothingToCompare
from router.index import IndexStoreError
from router.indexing import NoIndex
from router.jobs import IndexNotBuilt
from router.joining import CannotEvaluate
from router.leaving import CannotRetire
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
        Unfit,
        CannotEvaluate,
        NotJudged,
        CannotRetire,
    )


def joining_model(name: str) -> Deployment:
    """Return the deployment of a model's name: of several the one that joins, else the active one, else the retired.

    Raises:
        UnknownModel: the federation has no such model.
    """
    joining = (
        Deployment.objects.chat().of_models().exclude(state__in=[Deployment.State.ACTIVE, Deployment.State.RETIRED])
    )
    found = (
        joining.filter(language_model__name__in={name, f"{name}:latest"})
        .select_related("language_model", "server__machine")
        .order_by("-state_changed_at", "-pk")
        .first()
    )
    return found or find_deployment(name=name, is_retired_allowed=True)


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
