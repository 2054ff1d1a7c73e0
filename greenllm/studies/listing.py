"""The list of a study's responses: what a reader asked for, a page at a time, however many there are.

Which answers are like that, and how many, is read from what is known of them (`labeling.answer_tally`); the rows of
one page come last. The order is that in which the responses were planned, which is the order of measuring, or that of
a figure, for which there is an index.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from benchmarks.models import Category, Deployment, Prompt, Response, Study
from benchmarks.paging import KeyedPage, Order, Place, keyed_page, number_in
from benchmarks.sorting import Sorting
from greenllm.dashboards.counted import Tallied, count_of
from greenllm.studies.queries import ResponseRow, response_rows
from labeling.models import AnswerFact, CurrentAnswer

ROWS_PER_PAGE = 50
VERDICTS = ("correct", "incorrect", "disputed", "open")
PROMPTS = ("training", "validation")
COLUMNS = {"number": "", "sci": "sci_gco2e", "energy": "energy_j", "took": "time_reserved_s"}


@dataclass(frozen=True)
class Asked:
    """Which responses are asked for; what is empty is not asked about, and a word that nobody offers is left out."""

    model: str = ""
    category: str = ""
    state: str = ""
    verdict: str = ""
    prompts: str = ""
    prompt: str = ""  # the number of one

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Asked":
        """Read an address."""
        offered = {"state": Response.State.values, "verdict": VERDICTS, "prompts": PROMPTS}
        given = {name: query.get(name, "") for name in cls.__dataclass_fields__}
        given["prompt"] = given["prompt"] if number_in(given["prompt"]) is not None else ""
        return cls(**{name: word if word in offered.get(name, (word,)) else "" for name, word in given.items()})


@dataclass(frozen=True)
class ResponsePage:
    """One page of the list with its place in it."""

    page: KeyedPage
    rows: list[ResponseRow]


def response_page(
    study: Study, *, asked: Asked, place: Place, sorting: Sorting, tallies: Iterable[Tallied]
) -> ResponsePage:
    """Return a page of the responses of a study, sorted by one of `COLUMNS`; `tallies` are the counts of its answers.

    Four queries, one more where answers changed of late, and one for each name that is asked for; for a page of a
    sorted list see `keyed_page`.
    """
    wanted = _conditions(study, asked)
    if asked.prompt:
        of_prompt = Response.objects.filter(study=study, prompt=int(asked.prompt)).values_list("pk", flat=True)
        lists: list[QuerySet[Any]] = [CurrentAnswer.objects.filter(response_id__in=list(of_prompt))]
        count = _asked_for(lists[0], asked, wanted).count()
    else:
        count = count_of(one for one in tallies if _is_asked_for(one, asked, wanted))
        lists = _lists() if count else [CurrentAnswer.objects.none()]
    page = keyed_page(
        *(_asked_for(one, asked, wanted) for one in lists),
        order=Order("response_id", COLUMNS.get(sorting.name, ""), sorting.is_descending),
        place=place,
        size=ROWS_PER_PAGE,
        count=count,
        every=CurrentAnswer.objects.filter(study_id=study.pk),
    )
    return ResponsePage(page, response_rows(page.keys))


def _lists() -> list[QuerySet[Any]]:
    """Return all answers as lists that each have an index: what is known, and what changed since, which is little."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT response_id FROM labeling_answermark")
        changed = [pk for (pk,) in cursor.fetchall()]
    known = AnswerFact.objects.exclude(response_id__in=changed)
    return [known, CurrentAnswer.objects.filter(response_id__in=changed)] if changed else [known]


def _conditions(study: Study, asked: Asked) -> dict[str, Any]:
    wanted: dict[str, Any] = {"study_id": study.pk}
    if asked.model:
        named = Deployment.objects.filter(language_model__name=asked.model)
        wanted["deployment_id__in"] = list(named.values_list("pk", flat=True))
    if asked.category:
        wanted["category_id__in"] = list(Category.objects.filter(name=asked.category).values_list("pk", flat=True))
    if asked.state:
        wanted["state"] = asked.state
    return wanted


def _asked_for(rows: QuerySet[Any], asked: Asked, wanted: Mapping[str, object]) -> QuerySet[Any]:
    """Return the answers that were asked for; only a finished one has a verdict."""
    found = rows.filter(**wanted)
    if asked.verdict:
        verdict = "" if asked.verdict == "open" else asked.verdict
        found = found.filter(state=Response.State.FINISHED, verdict=verdict)
    if asked.prompts == "validation":
        found = found.filter(role=Prompt.Role.VALIDATION)
    elif asked.prompts:
        found = found.exclude(role=Prompt.Role.VALIDATION)
    return found


def _is_asked_for(one: Tallied, asked: Asked, wanted: Mapping[str, Any]) -> bool:
    """Tell of counted answers of the study what `_asked_for` does of each."""
    known = {"deployment_id__in": one.deployment_id, "category_id__in": one.category_id}
    if any(name in wanted and value not in wanted[name] for name, value in known.items()):
        return False
    if asked.verdict and (one.state != Response.State.FINISHED or (one.verdict or "open") != asked.verdict):
        return False
    if asked.prompts and (one.role == Prompt.Role.VALIDATION) != (asked.prompts == "validation"):
        return False
    return not asked.state or one.state == asked.state
