"""A study as BoAmps reports: one JSON report for each model, as Boavizta's schema wants it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import uuid5

import iso3166
from django.db.models import Avg, Count, Min, Q, Sum

from benchmarks.models import ChannelReading, Deployment, InferenceServer, Response, Study
from benchmarks.models.energy import Quality
from benchmarks.units import joules_to_kilowatt_hours
from greenllm import VERSION
from labeling.verdicts import verdicts_of

_BYTES_PER_GIGABYTE = 10**9
_BILLIONS = {"K": 1e-6, "M": 1e-3, "B": 1.0, "T": 1e3}
_MOMENT = "%Y-%m-%d %H:%M:%S"
_CHUNK = 5_000
_SPECIFICATION = "https://github.com/Boavizta/BoAmps/tree/main/model"
_Report = dict[str, Any]  # Any: JSON


def boamps_reports(*, study: Study, now: datetime) -> Iterator[tuple[Deployment, _Report]]:
    """Yield the report of each model whose energy is known; the schema has no report without one.

    Energy and time are sums over the answers with an energy, tokens their mean for one request, as the schema has it;
    how many answers have none is told in words. The schema has no place for the
    quality of an energy but `measurementMethod`, so each quality is a measure of its own. Its own field `quality` is an
    error in percent, which is not known, and is left out.
    """
    finished = Response.objects.finished().filter(study=study)
    for target in study.targets.select_related("deployment__language_model", "deployment__server").order_by("position"):
        answers = finished.filter(deployment=target.deployment)
        measures = _measures(study, answers)
        if measures:
            yield target.deployment, _report(study, target.deployment, answers, measures, now)


def _report(
    study: Study, deployment: Deployment, answers: Any, measures: Sequence[_Report], now: datetime
) -> _Report:  # Any: the queryset of the answers
    totals = answers.aggregate(
        count=Count("pk"),
        known=Count("pk", filter=Q(measurement__energy_j__isnull=False)),
        input=Avg("prompt_token_count", filter=Q(measurement__energy_j__isnull=False)),
        output=Avg("output_token_count", filter=Q(measurement__energy_j__isnull=False)),
        intensity=Avg("measurement__carbon_intensity_gco2e_per_kwh"),
    )
    categories = answers.values_list("prompt__category__name", flat=True).distinct().order_by("prompt__category__name")
    accuracy = _accuracy(answers)
    return {
        "header": {
            "formatVersionSpecificationUri": _SPECIFICATION,
            "reportId": str(uuid5(study.uuid, f"boamps/{deployment.language_model.name}/{deployment.server.name}")),
            "reportDatetime": now.strftime(_MOMENT),
            "reportStatus": "draft",
            "publisher": {"projectName": study.name, "confidentialityLevel": "internal"},
        },
        "task": {
            "taskStage": "inference",
            "taskFamily": ", ".join(categories),
            "nbRequest": totals["known"],
            "algorithms": [_algorithm(deployment)],
            "dataset": [_tokens("input", totals["input"]), _tokens("output", totals["output"])],
            **({} if accuracy is None else {"measuredAccuracy": accuracy}),
            "taskDescription": _description(study, totals["count"], totals["known"], measures),
        },
        "measures": list(measures),
        "infrastructure": {"infraType": "other", "components": _components(study, _gpus(answers))},
        **_environment(study, totals["intensity"]),
    }


def _measures(study: Study, answers: Any) -> list[_Report]:  # Any: the queryset of the answers
    sums = (
        answers.filter(measurement__energy_j__isnull=False)
        .values("measurement__quality", "measurement__boundary")
        .annotate(
            energy_j=Sum("measurement__energy_j"),
            duration_s=Sum("measurement__time_reserved_s"),
            untimed=Count("pk", filter=Q(measurement__time_reserved_s__isnull=True)),
            first_at=Min("measurement__started_at"),
        )
        .order_by("measurement__quality", "measurement__boundary")
    )
    return [_measure(study, row) for row in sums]


def _measure(study: Study, row: Mapping[str, Any]) -> _Report:  # Any: columns of many types
    quality = Quality(row["measurement__quality"])
    boundary = row["measurement__boundary"]
    first_at = row["first_at"] or study.started_at
    return {
        "measurementMethod": f"GreenLLM, {quality.label.lower()}" + (f": {boundary}" if boundary else ""),
        "version": VERSION,
        "powerConsumption": joules_to_kilowatt_hours(row["energy_j"]),
        **({} if row["untimed"] else {"measurementDuration": row["duration_s"]}),
        **({} if first_at is None else {"measurementDateTime": first_at.strftime(_MOMENT)}),
    }


def _algorithm(deployment: Deployment) -> _Report:
    model = deployment.language_model
    billions = _billions(model.parameter_size)
    return {
        "algorithmType": "llm",
        "foundationModelName": model.name,
        **({"framework": "ollama"} if deployment.server.kind == InferenceServer.Kind.OLLAMA else {}),
        **({} if billions is None else {"parametersNumber": billions}),
        **({"quantization": model.quantization} if model.quantization else {}),
    }


def _billions(size: str) -> float | None:
    """Return a number of parameters such as 134.52M in billions; None where it is not told so."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMBT])", size.strip().upper())
    return None if found is None else float(found[1]) * _BILLIONS[found[2]]


def _tokens(usage: str, count: float | None) -> _Report:
    return {"dataUsage": usage, "dataType": "token", **({} if count is None else {"dataQuantity": count})}


def _accuracy(answers: Any) -> float | None:  # Any: the queryset of the answers
    """Return the share of the judged answers that are correct; None where nobody judged."""
    right = judged = 0
    ids = answers.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=_CHUNK)
    for _, chunk in groupby(enumerate(ids), key=lambda numbered: numbered[0] // _CHUNK):
        said = [one.is_correct for one in verdicts_of(pk for _, pk in chunk).values() if one.is_correct is not None]
        right, judged = right + sum(said), judged + len(said)
    return right / judged if judged else None


def _description(study: Study, count: int, known: int, measures: Sequence[_Report]) -> str:
    said = [f"GreenLLM study {study.name}: {known} of {count} answers with a known energy; the sums are of these."]
    if any("simulated" in measure["measurementMethod"] for measure in measures):
        said.append("The energy is simulated: no device measured it.")
    said.append("Energy is gross, idle of the machine included. Embodied emissions are not part of this format.")
    return " ".join(said)


def _gpus(answers: Any) -> Counter[str]:  # Any: the queryset of the answers
    """Return how many GPUs of each name were measured with the answers."""
    seen = ChannelReading.objects.filter(measurement__response__in=answers, channel__startswith="gpu-")
    cards = seen.order_by("channel", "-pk").distinct("channel").values_list("channel", "meter_facts")
    return Counter(str(facts.get(channel, "")).rpartition(", ")[0] for channel, facts in cards)


def _components(study: Study, gpus: Mapping[str, int]) -> list[_Report]:
    facts: Mapping[str, Any] = study.machine_snapshot  # Any: as it was stored when the study began
    share = {"share": facts["resource_share"]} if facts.get("resource_share") else {}
    model = {"componentName": facts["cpu_model"]} if facts.get("cpu_model") else {}
    found: list[_Report] = [{"componentType": "cpu", "nbComponent": 1, **model, **share}]
    if memory_bytes := facts.get("memory_bytes"):
        size = round(memory_bytes / _BYTES_PER_GIGABYTE)
        found.append({"componentType": "ram", "nbComponent": 1, "memorySize": size, **share})
    for name, count in sorted(gpus.items()):
        known = {"componentName": name} if name else {}
        found.append({"componentType": "gpu", "nbComponent": count, **known, **share})
    return found


def _environment(study: Study, intensity: float | None) -> _Report:
    country = iso3166.countries_by_alpha2.get(str(study.machine_snapshot.get("zone", ""))[:2].upper())
    if country is None:
        return {}
    carbon = {} if intensity is None else {"powerSourceCarbonIntensity": intensity}
    return {"environment": {"country": country.name, **carbon}}
