"""The members of the study itself: its parameters, its answers, and what each of them cost."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import models

from benchmarks.bundling.archive import Line, Row
from benchmarks.bundling.members import Incoming, Member, Outgoing, in_chunks, optional, referred
from benchmarks.bundling.rows import Shape, database_errors, insert
from benchmarks.models import (
    ChannelReading,
    EnergyTrace,
    Measurement,
    ParameterSet,
    Response,
    ResponseAttempt,
    Study,
    StudyMeasurement,
)

_STUDY = Shape(Study, frozenset({"imported_at", "imported_from"}))
_PARAMETER_SET = Shape(ParameterSet)
_MEASUREMENT = Shape(Measurement)
_READING = Shape(ChannelReading)
_TRACE = Shape(EnergyTrace)
_RESPONSE = Shape(Response)
_ATTEMPT = Shape(ResponseAttempt)
_ACCOMPANYING = Shape(StudyMeasurement)


def _write_study(outgoing: Outgoing) -> Iterator[Row]:
    machine = outgoing.study.machine
    yield {**_STUDY.row_of(outgoing.study), "machine": machine.name if machine is not None else None}


def _read_study(incoming: Incoming, lines: Iterator[Line]) -> None:
    for line in lines:
        if incoming.study is not None:
            raise line.place.error("a bundle holds one study.")
        values = _STUDY.values_of(line, "machine")
        if values["state"] == Study.State.RUNNING:
            raise line.place.error("a running study cannot be imported.")
        values["name"] = incoming.study_name
        created_at = values.pop("created_at") or incoming.now
        with database_errors(line.place, line.place):
            study = Study.objects.create(**values, machine=_machine_of(incoming, line), imported_at=incoming.now)
            Study.objects.filter(pk=study.pk).update(created_at=created_at)  # which Django fills by itself
        incoming.study = study


def _machine_of(incoming: Incoming, line: Line) -> Any:  # Any: a machine or none, as the column has it
    name = line.row["machine"]
    if name is None:
        return None
    if not isinstance(name, str) or name not in incoming.machines:
        raise line.place.error(f"there is no machine {name!r} in the bundle.")
    return incoming.machines[name]


def _write_parameter_sets(outgoing: Outgoing) -> Iterator[Row]:
    for number, parameters in enumerate(outgoing.study.parameter_sets.order_by("pk"), start=1):
        outgoing.parameter_set_lines[parameters.pk] = number
        yield _PARAMETER_SET.row_of(parameters)


def _read_parameter_sets(incoming: Incoming, lines: Iterator[Line]) -> None:
    rows = ((line, ParameterSet(study=incoming.made, **_PARAMETER_SET.values_of(line))) for line in lines)
    incoming.parameter_set_ids.extend(parameters.pk for parameters in insert(rows))


def _write_measurements(outgoing: Outgoing) -> Iterator[Row]:
    for _, ids in in_chunks(outgoing.measurement_ids):
        found = Measurement.objects.select_related("machine").in_bulk(ids)
        for pk in ids:
            machine = found[pk].machine
            yield {"machine": machine.name if machine is not None else None, **_MEASUREMENT.row_of(found[pk])}


def _read_measurements(incoming: Incoming, lines: Iterator[Line]) -> None:
    rows = (
        (line, Measurement(**_MEASUREMENT.values_of(line, "machine"), machine=_machine_of(incoming, line)))
        for line in lines
    )
    incoming.measurement_ids.extend(measurement.pk for measurement in insert(rows))


def _write_channels(outgoing: Outgoing, model: type[models.Model], shape: Shape) -> Iterator[Row]:
    for first, ids in in_chunks(outgoing.measurement_ids):
        numbers = {pk: number for number, pk in enumerate(ids, start=first)}
        found: Iterable[Any] = model._default_manager.filter(measurement_id__in=ids).order_by(
            "measurement_id", "channel"
        )
        for one in sorted(found, key=lambda one: numbers[one.measurement_id]):  # stable: channels stay sorted
            yield {"measurement": numbers[one.measurement_id], **shape.row_of(one)}


def _write_readings(outgoing: Outgoing) -> Iterator[Row]:
    return _write_channels(outgoing, ChannelReading, _READING)


def _write_traces(outgoing: Outgoing) -> Iterator[Row]:
    return _write_channels(outgoing, EnergyTrace, _TRACE)


def _read_readings(incoming: Incoming, lines: Iterator[Line]) -> None:
    _insert_channels(incoming, lines, ChannelReading, _READING)


def _read_traces(incoming: Incoming, lines: Iterator[Line]) -> None:
    _insert_channels(incoming, lines, EnergyTrace, _TRACE)


def _insert_channels(incoming: Incoming, lines: Iterator[Line], model: type[models.Model], shape: Shape) -> None:
    rows = (
        (
            line,
            model(
                measurement_id=referred(line, "measurement", incoming.measurement_ids),
                **shape.values_of(line, "measurement"),
            ),
        )
        for line in lines
    )
    for _ in insert(rows):
        pass


def _write_responses(outgoing: Outgoing) -> Iterator[Row]:
    measured = 0
    for _, ids in in_chunks(outgoing.response_ids):
        found = Response.objects.in_bulk(ids)
        for pk in ids:
            response = found[pk]
            measured += response.measurement_id is not None
            yield {
                "deployment": outgoing.deployment_lines[response.deployment_id],
                "prompt": outgoing.prompt_lines[response.prompt_id],
                "parameter_set": outgoing.parameter_set_lines[response.parameter_set_id],
                "measurement": measured if response.measurement_id is not None else None,
                **_RESPONSE.row_of(response),
            }


def _read_responses(incoming: Incoming, lines: Iterator[Line]) -> None:
    rows = (
        (
            line,
            Response(
                study=incoming.made,
                deployment_id=referred(line, "deployment", incoming.deployment_ids),
                prompt_id=referred(line, "prompt", incoming.prompt_ids),
                parameter_set_id=referred(line, "parameter_set", incoming.parameter_set_ids),
                measurement_id=optional(line, "measurement", incoming.measurement_ids),
                **_RESPONSE.values_of(line, "deployment", "prompt", "parameter_set", "measurement"),
            ),
        )
        for line in lines
    )
    incoming.response_ids.extend(response.pk for response in insert(rows))


def _write_attempts(outgoing: Outgoing) -> Iterator[Row]:
    for first, ids in in_chunks(outgoing.response_ids):
        numbers = {pk: number for number, pk in enumerate(ids, start=first)}
        found = ResponseAttempt.objects.filter(response_id__in=ids).order_by("number")
        for one in sorted(found, key=lambda one: numbers[one.response_id]):
            yield {"response": numbers[one.response_id], **_ATTEMPT.row_of(one)}


def _read_attempts(incoming: Incoming, lines: Iterator[Line]) -> None:
    rows = (
        (
            line,
            ResponseAttempt(
                response_id=referred(line, "response", incoming.response_ids), **_ATTEMPT.values_of(line, "response")
            ),
        )
        for line in lines
    )
    for _ in insert(rows):
        pass


def _write_accompanying(outgoing: Outgoing) -> Iterator[Row]:
    """Give idle baselines and control runs; their measurements are the last ones, after those of the responses."""
    found = StudyMeasurement.objects.in_bulk(outgoing.accompanying_ids)
    first = len(outgoing.measurement_ids) - len(outgoing.accompanying_ids) + 1
    for number, pk in enumerate(outgoing.accompanying_ids, start=first):
        yield {"measurement": number, **_ACCOMPANYING.row_of(found[pk])}


def _read_accompanying(incoming: Incoming, lines: Iterator[Line]) -> None:
    rows = (
        (
            line,
            StudyMeasurement(
                study=incoming.made,
                measurement_id=referred(line, "measurement", incoming.measurement_ids),
                **_ACCOMPANYING.values_of(line, "measurement"),
            ),
        )
        for line in lines
    )
    for _ in insert(rows):
        pass


STUDY = (
    Member("study.jsonl", _write_study, _read_study),
    Member("parameter_sets.jsonl", _write_parameter_sets, _read_parameter_sets),
)
ANSWERS = (
    Member("measurements.jsonl", _write_measurements, _read_measurements),
    Member("channel_readings.jsonl", _write_readings, _read_readings),
    Member("energy_traces.jsonl", _write_traces, _read_traces),
    Member("responses.jsonl", _write_responses, _read_responses),
    Member("attempts.jsonl", _write_attempts, _read_attempts),
)
ACCOMPANYING = (Member("study_measurements.jsonl", _write_accompanying, _read_accompanying),)
