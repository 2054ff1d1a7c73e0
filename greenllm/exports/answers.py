"""The answers of a study in a stream, in the order of measuring, with the ids that they have in every export."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from uuid import UUID, uuid5

from benchmarks.models import ChannelReading, Response, Study

_CHUNK = 1_000  # answers in memory at a time, with what their channels saw


@dataclass(frozen=True)
class Answer:
    """One finished answer with its measurement; None is what is not known."""

    pk: int
    prompt_id: int
    measurement_id: int | None
    sequence: int
    dataset: str
    prompt: str
    category: str
    role: str
    model: str
    server: str
    parameters: str
    repeat: int
    finished_at: datetime | None
    text: str
    thinking_text: str
    done_reason: str
    prompt_token_count: int | None
    output_token_count: int | None
    load_duration_ns: int | None
    prompt_eval_duration_ns: int | None
    eval_duration_ns: int | None
    answer_count: int | None
    energy_j: float | None
    net_energy_j: float | None
    quality: str | None
    missing_reason: str | None
    time_reserved_s: float | None
    carbon_intensity_gco2e_per_kwh: float | None
    operational_emissions_gco2e: float | None
    embodied_emissions_gco2e: float | None
    sci_gco2e: float | None
    boundary: str | None
    is_low_precision: bool | None

    def id_in(self, study: Study) -> UUID:
        """Return its id, the same wherever a bundle carries the study."""
        return uuid5(
            study.uuid,
            "/".join((self.dataset, self.prompt, self.model, self.server, self.parameters, str(self.repeat))),
        )


_PATHS = {
    "dataset": "prompt__dataset__name",
    "prompt": "prompt__external_id",
    "category": "prompt__category__name",
    "role": "prompt__role",
    "model": "deployment__language_model__name",
    "server": "deployment__server__name",
    "parameters": "parameter_set__name",
} | {
    name: f"measurement__{name}"
    for name in (
        "answer_count", "energy_j", "net_energy_j", "quality", "missing_reason", "time_reserved_s",
        "carbon_intensity_gco2e_per_kwh", "operational_emissions_gco2e", "embodied_emissions_gco2e", "sci_gco2e",
        "boundary", "is_low_precision",
    )
}  # fmt: skip
_COLUMNS = tuple(_PATHS.get(field.name, field.name) for field in fields(Answer))


def answers_in_chunks(study: Study) -> Iterator[list[Answer]]:
    """Yield the finished answers of a study, so many at a time that what belongs to them is one query each."""
    found = Response.objects.finished().filter(study=study).in_order().values_list(*_COLUMNS)
    answers = (Answer(*row) for row in found.iterator(chunk_size=_CHUNK))
    while chunk := list(islice(answers, _CHUNK)):
        yield chunk


def readings_of(answers: Sequence[Answer]) -> Mapping[int, list[ChannelReading]]:
    """Return what each channel saw, by the number of the measurement."""
    found: dict[int, list[ChannelReading]] = defaultdict(list)
    numbers = [answer.measurement_id for answer in answers if answer.measurement_id is not None]
    for reading in ChannelReading.objects.filter(measurement__in=numbers).order_by("measurement_id", "channel"):
        found[reading.measurement_id].append(reading)
    return found
