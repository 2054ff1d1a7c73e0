"""The four tables of a study for the Hugging Face hub: prompts, responses, labels and energy, row by row."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.models import Prompt, Response, Study
from greenllm.exports.answers import answers_in_chunks, readings_of
from greenllm.parquet import MOMENT
from greenllm.studies.queries import verdict_name
from labeling.models import Label
from labeling.verdicts import UNDECIDED, verdicts_of

_CHUNK = 1_000
_PROMPT_COLUMNS = {
    "dataset": "string", "prompt": "string", "category": "string", "role": "string", "item_text": "string",
    "text": "string", "reference": "string", "licence": "string", "source_url": "string",
}  # fmt: skip
_RESPONSE_COLUMNS = {
    "response": "string", "sequence": "int64", "dataset": "string", "prompt": "string", "category": "string",
    "role": "string", "model": "string", "server": "string", "parameters": "string", "repeat": "int64",
    "finished_at": MOMENT, "text": "string", "thinking_text": "string", "done_reason": "string",
    "prompt_token_count": "int64", "output_token_count": "int64", "load_duration_ns": "int64",
    "prompt_eval_duration_ns": "int64", "eval_duration_ns": "int64", "verdict": "string", "verdict_source": "string",
    "label_count": "int64", "answer_count": "int64", "energy_j": "float64", "net_energy_j": "float64",
    "quality": "string", "missing_reason": "string", "time_reserved_s": "float64",
    "carbon_intensity_gco2e_per_kwh": "float64", "operational_emissions_gco2e": "float64",
    "embodied_emissions_gco2e": "float64", "sci_gco2e": "float64", "boundary": "string", "is_low_precision": "bool",
}  # fmt: skip
_LABEL_COLUMNS = {
    "response": "string", "verdict": "string", "score": "float64", "source": "string", "kind": "string",
    "judge": "string", "saw_evidence": "bool", "active_seconds": "float64", "created_at": MOMENT,
    "is_current": "bool", "is_void": "bool",
}  # fmt: skip
_ENERGY_COLUMNS = {
    "response": "string", "channel": "string", "meter": "string", "is_in_boundary": "bool", "energy_j": "float64",
    "mean_power_mw": "float64", "sample_count": "int64", "coverage": "float64", "gap_count": "int64",
    "quality": "string", "missing_reason": "string",
}  # fmt: skip
_Rows = Iterator[tuple[object, ...]]


@dataclass(frozen=True)
class Table:
    """One table: its name, the type of each column, its rows and what a row is."""

    name: str
    columns: dict[str, str]
    rows: _Rows
    told: str


def tables_of(study: Study) -> tuple[Table, ...]:
    """Return the tables of a study; `response` joins the last three, `dataset` and `prompt` the first two."""
    return (
        Table("responses", _RESPONSE_COLUMNS, _responses(study), "one answer with verdict, energy and score"),
        Table("prompts", _PROMPT_COLUMNS, _prompts(study), "one task that the models were given"),
        Table("labels", _LABEL_COLUMNS, _labels(study), "one judgement of one answer"),
        Table("energy", _ENERGY_COLUMNS, _energy(study), "what one channel of a meter saw during one answer"),
    )


def _prompts(study: Study) -> _Rows:
    asked = Response.objects.finished().filter(study=study).values("prompt")
    found = Prompt.objects.filter(pk__in=asked).order_by("dataset__name", "external_id", "pk")
    yield from found.values_list(
        "dataset__name", "external_id", "category__name", "role", "item_text", "text", "reference",
        "dataset__licence", "dataset__source_url",
    ).iterator(chunk_size=_CHUNK)  # fmt: skip


def _responses(study: Study) -> _Rows:
    for chunk in answers_in_chunks(study):
        verdicts = verdicts_of(answer.pk for answer in chunk)
        for answer in chunk:
            verdict = verdicts.get(answer.pk, UNDECIDED)
            given = {
                "response": str(answer.id_in(study)),
                "verdict": verdict_name(verdict),
                "verdict_source": verdict.source or None,
                "label_count": verdict.label_count,
            }
            yield tuple(given[name] if name in given else getattr(answer, name) for name in _RESPONSE_COLUMNS)


def _labels(study: Study) -> _Rows:
    judges: dict[int, str] = {}
    for chunk in answers_in_chunks(study):
        ids = {answer.pk: str(answer.id_in(study)) for answer in chunk}
        for label in Label.objects.filter(response__in=ids).order_by("response__sequence", "response_id", "pk"):
            judge = None
            if label.labeler_id is not None:
                judge = judges.setdefault(label.labeler_id, f"annotator-{len(judges) + 1}")
            yield (
                ids[label.response_id], label.verdict, label.score, label.source, label.kind, judge,
                label.saw_evidence, label.active_seconds, label.created_at, label.is_current,
                label.voided_at is not None,
            )  # fmt: skip


def _energy(study: Study) -> _Rows:
    for chunk in answers_in_chunks(study):
        readings = readings_of(chunk)
        for answer in chunk:
            for one in readings.get(answer.measurement_id or 0, ()):
                yield (
                    str(answer.id_in(study)), one.channel, one.meter, one.is_in_boundary, one.energy_j,
                    one.mean_power_mw, one.sample_count, one.coverage, one.gap_count, one.quality,
                    one.missing_reason or None,
                )  # fmt: skip
