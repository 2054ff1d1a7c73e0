"""Which answers a person wants to judge, as the address of the labeling page has it."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Sum
from django.http import QueryDict
from django.utils.crypto import salted_hmac

from benchmarks.models import Category, LanguageModel, Response, Study
from labeling.answer_tally import AnswerTally
from labeling.waiting import Mode, QueueFilter

_TITLES = {
    Mode.EVERYTHING: "Everything, shuffled",
    Mode.ROUTING: "What routing needs most first",
    Mode.ROWS: "The same prompt, all its answers in a row",
    Mode.DIFFERING: "Only prompts whose answers differ in their verdicts",
    Mode.DISPUTED: "Disputed: settle what readers left open",
}


@dataclass(frozen=True)
class ModelGroup:
    """The models of one family under a name that does not tell which: `token` for the address, `title` for people."""

    token: str
    title: str
    family: str


@dataclass(frozen=True)
class Choice:
    """The filter as the address has it: what it means, how it is kept, and what in it was not understood."""

    chosen: QueueFilter
    query: str
    problem: str = ""
    group: ModelGroup | None = None

    @property
    def mode(self) -> str:
        """Return the word that the address has for the mode."""
        return self.chosen.mode.value

    @property
    def mode_title(self) -> str:
        """Return the mode in words."""
        return _TITLES[self.chosen.mode]


def read_choice(query: QueryDict, *, may_adjudicate: bool = False) -> Choice:
    """Read study, category, group and mode from the address; what does not exist is told and left out."""
    names = {key: query.get(key, "").strip() for key in ("study", "category", "group", "mode")}
    study = Study.objects.filter(name=names["study"]).first() if _is_name(names["study"]) else None
    category = Category.objects.filter(name=names["category"]).first() if _is_name(names["category"]) else None
    groups = model_groups() if names["group"] else []
    group = next((one for one in groups if one.token == names["group"]), None)
    mode = next((one for one in modes(may_adjudicate=may_adjudicate) if one.value == names["mode"]), None)
    found = {"study": study, "category": category, "group": group, "mode": mode}
    problems = [_UNKNOWN[key].format(name=names[key][:80]) for key, one in found.items() if names[key] and one is None]
    kept = {
        "study": study.name if study else "",
        "category": category.name if category else "",
        "group": group.token if group else "",
        "mode": mode.value if mode is not None and mode is not Mode.EVERYTHING else "",
    }
    address = urlencode({key: value for key, value in kept.items() if value})
    families = (group.family,) if group else None
    chosen = QueueFilter(study, category, families, mode or Mode.EVERYTHING)
    return Choice(chosen, f"?{address}" if address else "", " ".join(problems), group)


_UNKNOWN = {
    "study": "There is no study “{name}”, so that answers of all studies are shown.",
    "category": "There is no category “{name}”, so that answers of all categories are shown.",
    "group": "There is no model group “{name}”, so that answers of all models are shown.",
    "mode": "There is no order “{name}” for you, so that answers come shuffled.",
}


def modes(*, may_adjudicate: bool) -> list[Mode]:
    """Return the modes that a person may choose; settling is for adjudicators."""
    return [one for one in Mode if may_adjudicate or one is not Mode.DISPUTED]


def model_groups() -> list[ModelGroup]:
    """Return the families of models with finished answers, in an order and under names that tell nothing of them."""
    imported = Study.objects.filter(kind=Study.Kind.IMPORTED).values("pk")
    tallied = AnswerTally.objects.filter(state=Response.State.FINISHED).exclude(study_id__in=imported)
    counted = tallied.values("deployment_id").annotate(count=Sum("answer_count")).filter(count__gt=0)
    answering = (
        LanguageModel.objects.filter(deployments__in=counted.values("deployment_id"))
        .order_by("family")
        .values_list("family", flat=True)
    )
    tokens = sorted((_token(family), family) for family in answering.distinct())
    return [
        ModelGroup(token, f"Model group {number}", family) for number, (token, family) in enumerate(tokens, start=1)
    ]


def filters(*, may_adjudicate: bool) -> dict[str, object]:
    """Return what the form of the filter offers: studies with finished answers, every category, groups and modes."""
    finished = Response.objects.finished().filter(study=OuterRef("pk"))
    groups = model_groups()
    return {
        "studies": Study.objects.filter(Exists(finished)).exclude(kind=Study.Kind.IMPORTED).order_by("-pk"),
        "categories": Category.objects.order_by("name"),
        "groups": groups if len(groups) > 1 else [],
        "modes": [(one.value, _TITLES[one]) for one in modes(may_adjudicate=may_adjudicate)],
    }


def _token(family: str) -> str:
    """Return a word for a family that nobody can guess it from."""
    return salted_hmac("labeling.family", family).hexdigest()[:10]


def _is_name(text: str) -> bool:
    return bool(text) and "\x00" not in text
