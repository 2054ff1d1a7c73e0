"""What is known of an answer before its text, and how much of that its caller wants."""

from datetime import UTC, datetime

from benchmarks.models import LanguageModel, Measurement
from router.answering import Decided, new_public_id
from router.contract import Detail, carbon_of, expected_in_all
from router.wires.fields import WireError
from router.wires.surface import Opening

DETAIL = "X-GreenLLM-Metadata"
MEASURE = "X-GreenLLM-Measure"
_FINGERPRINT_DIGITS = 12


def detail_of(value: str) -> Detail:
    """Read the header that says how much of our own part an answer shall carry; all of it where there is none.

    Raises:
        WireError: it asks for something else.
    """
    wanted = value.strip().lower()
    if wanted and wanted not in list(Detail):
        raise WireError(f"The header {DETAIL} must be one of {', '.join(Detail)}.", param=DETAIL)
    return Detail(wanted or Detail.FULL)


def wants_measuring(value: str) -> bool:
    """Read the header that asks to be measured, at the price of waiting for the meters and for the figure.

    Raises:
        WireError: it says something else than yes or no.
    """
    wanted = value.strip().lower()
    if wanted not in {"", "yes", "no"}:
        raise WireError(f"The header {MEASURE} must be yes or no.", param=MEASURE)
    return wanted == "yes"


def opening_of(decided: Decided, detail: Detail, measurement: Measurement | None = None) -> Opening:
    """Return what the answer of the deployment that answers begins with, or ends with once it was measured."""
    predicted_gco2e = expected_in_all(decided)
    measured_gco2e = None if measurement is None else measurement.sci_gco2e
    return Opening(
        request_id=decided.request.public_id,
        created=int(decided.request.started_at.timestamp()),
        created_at=rfc_3339(decided.request.started_at),
        model=decided.deployment.language_model.name,
        greenllm=carbon_of(
            request=decided.request,
            decision=decided.decision,
            deployment=decided.deployment,
            measurement=measurement,
            hour=decided.hour,
            detail=detail,
        ),
        gco2e=None if detail is Detail.OFF else (predicted_gco2e if measured_gco2e is None else measured_gco2e),
        fingerprint=fingerprint_of(decided.deployment.language_model),
    )


def opening_of_loading(model: str, now: datetime) -> Opening:
    """Return what tells that a model is in memory: nothing was decided, so there is nothing of our own to tell."""
    return Opening(new_public_id(), int(now.timestamp()), rfc_3339(now), model, greenllm={})


def fingerprint_of(model: LanguageModel) -> str:
    """Return what tells answers of other weights apart, as OpenAI's `system_fingerprint` does; empty: nobody knows."""
    digest = model.digest.removeprefix("sha256:")
    return f"fp_{digest[:_FINGERPRINT_DIGITS]}" if digest else ""


def rfc_3339(moment: datetime) -> str:
    """Return a moment as RFC 3339 has it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
