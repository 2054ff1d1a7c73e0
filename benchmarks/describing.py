"""What a server's description of a model means for the catalogue."""

from benchmarks.inference.base import ModelDescription
from benchmarks.models import LanguageModel


class OtherWeights(ValueError):
    """A server that tells no digests has a model of a known name that is clearly not the known model."""


def ensure_language_model(*, description: ModelDescription) -> LanguageModel:
    """Return the catalogue's row for a model, added where it is new.

    Raises:
        OtherWeights: the name is taken by other weights.
    """
    model, is_new = LanguageModel.objects.get_or_create(
        name=description.name,
        digest=description.digest,
        defaults={
            "purpose": _purpose_of(description),
            "family": description.family,
            "parameter_size": description.parameter_size,
            "quantization": description.quantization,
            "size_bytes": description.size_bytes,
            "context_length": description.context_length,
            "embedding_length": description.embedding_length,
        },
    )
    if not is_new:
        require_same_weights(model=model, description=description)
    return model


def require_same_weights(*, model: LanguageModel, description: ModelDescription) -> None:
    """Refuse to count two models as one; without a digest their size and form are the only signs.

    Raises:
        OtherWeights: one of the signs differs.
    """
    if description.digest:
        return
    signs = (
        ("size in bytes", model.size_bytes, description.size_bytes),
        ("quantisation", model.quantization, description.quantization),
        ("number of parameters", model.parameter_size, description.parameter_size),
    )
    for sign, known, told in signs:
        if known and told and known != told:
            raise OtherWeights(
                f"The federation knows a model {model.name!r} whose {sign} is {known}; this server's is {told}. "
                f"Verdicts belong to the weights: give this server's model another name (an alias)."
            )


def _purpose_of(description: ModelDescription) -> LanguageModel.Purpose:
    if "embedding" in description.capabilities and "completion" not in description.capabilities:
        return LanguageModel.Purpose.EMBEDDING
    return LanguageModel.Purpose.CHAT
