"""Which answer of a study a line is about: by its number, or by prompt, model and repeat."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.models import Response, Study
from labeling.exchanging.entries import Entry, NamedAnswer, digest_of_text
from labeling.exchanging.fields import Refusal

_FACTS = (
    "pk", "prompt__dataset__name", "prompt__external_id", "deployment__language_model__name",
    "deployment__language_model__digest", "deployment__server__name", "parameter_set__name", "repeat",
)  # fmt: skip


@dataclass(frozen=True)
class _Known:
    """One finished answer of the study."""

    number: int
    prompt: str
    model: str
    digest: str
    server: str
    parameters: str
    repeat: int


def match(*, study: Study, entries: Sequence[Entry]) -> list[int | Refusal]:
    """Return, for each line, the key of its answer or why there is none; three queries at most.

    A number counts only where nothing else that the line says of the answer speaks against it, because in a file of
    another installation it is another answer's. Then prompt, model and repeat decide.
    """
    answers = [entry.answer for entry in entries]
    finished = Response.objects.finished().filter(study=study)
    numbers = {answer.number for answer in answers if answer.number is not None}
    by_number = {known.number: known for known in _read(finished.filter(pk__in=numbers))} if numbers else {}
    digests = _digests_of({one.number for one in answers if one.text_digest and one.number in by_number})
    found: list[int | Refusal] = []
    described = [one for one in answers if one.is_described and not _is_it(one, by_number, digests)]
    by_description = _described(study, described)
    for entry in entries:
        answer = entry.answer
        if _is_it(answer, by_number, digests) and answer.number is not None:
            found.append(answer.number)
        elif answer.is_described:
            found.append(_chosen(entry, by_description[answer.prompt, answer.model]))
        else:
            found.append(_unknown(entry, by_number))
    return found


def _read(responses: "Iterable[Response]") -> list[_Known]:
    rows = responses.order_by("pk").values_list(*_FACTS)  # type: ignore[attr-defined]  # a query set
    return [_Known(row[0], f"{row[1]}/{row[2]}", *row[3:]) for row in rows]


def _digests_of(numbers: "set[int | None]") -> dict[int, str]:
    texts = Response.objects.filter(pk__in=numbers).order_by("pk").values_list("pk", "text") if numbers else []
    return {pk: digest_of_text(text) for pk, text in texts}


def _is_it(answer: NamedAnswer, known: dict[int, _Known], digests: dict[int, str]) -> bool:
    one = known.get(answer.number) if answer.number is not None else None
    if one is None or (answer.text_digest and digests.get(one.number) != answer.text_digest):
        return False
    said = {name: getattr(answer, name) for name in ("prompt", "model", "digest", "parameters", "repeat")}
    return all(value in ("", None) or value == getattr(one, name) for name, value in said.items())


def _described(study: Study, answers: Sequence[NamedAnswer]) -> "defaultdict[tuple[str, str], list[_Known]]":
    found: defaultdict[tuple[str, str], list[_Known]] = defaultdict(list)
    if answers:
        prompts = [answer.prompt.partition("/") for answer in answers]
        rows = Response.objects.finished().filter(
            study=study,
            prompt__dataset__name__in={dataset for dataset, _, _ in prompts},
            prompt__external_id__in={external_id for _, _, external_id in prompts},
            deployment__language_model__name__in={answer.model for answer in answers},
            repeat__in={answer.repeat or 1 for answer in answers},
        )
        for known in _read(rows):
            found[known.prompt, known.model].append(known)
    return found


def _chosen(entry: Entry, candidates: Sequence[_Known]) -> int | Refusal:
    answer = entry.answer
    left = [one for one in candidates if one.repeat == (answer.repeat or 1)]
    for name in ("digest", "parameters", "server"):
        wanted = getattr(answer, name)
        same = [one for one in left if getattr(one, name) == wanted]
        # a server may have another name here; where only one fits it does not matter
        left = same if wanted and (same or name != "server") else left
    if len(left) == 1:
        return left[0].number
    if left:
        reason = f"{len(left)} answers of {answer.model} to {answer.prompt} fit."
        return Refusal(entry.line, "response", reason, "Give 'response', or 'parameters', 'model_digest' or 'server'.")
    reason = f"The study has no finished answer of {answer.model} to {answer.prompt}, repeat {answer.repeat or 1}."
    return Refusal(
        entry.line,
        "prompt",
        reason,
        "Prompts are written dataset/id, models as on the study's page; or choose the study.",
    )


def _unknown(entry: Entry, by_number: dict[int, _Known]) -> Refusal:
    number = entry.answer.number
    if number in by_number:
        return Refusal(
            entry.line, "response", f"Answer {number} is another one here than the line says.",
            "Give 'prompt', 'model' and 'repeat' instead of the number.",
        )  # fmt: skip
    return Refusal(
        entry.line, "response", f"The study has no finished answer {number}.",
        "The number stands in the address of an answer's page; or choose the study it belongs to.",
    )  # fmt: skip
