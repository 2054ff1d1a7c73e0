"""The switch that lets graders label in a category, and what is known of those graders before it is turned."""

from collections.abc import Collection
from dataclasses import dataclass

from benchmarks.models import Category
from labeling.confusion import Concordance, compare_graders
from labeling.counting import count_rows
from labeling.models import JudgementRule, Verdict
from labeling.ruling import rules_in_force, switch_graders_in

FEWEST_BLIND = 20  # judged blind by people, below which precision says too little to go by unasked
_OF_CATEGORY = """
JOIN benchmarks_response AS response ON response.id = said.response_id
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
"""
_GRADES = f"""
SELECT said.response_id, prompt.category_id, said.grader, said.grader_version
FROM labeling_grade AS said {_OF_CATEGORY} WHERE true {{only}}
"""  # noqa: S608 - put together of constants
_LABELS = f"""
SELECT said.response_id, prompt.category_id FROM labeling_label AS said {_OF_CATEGORY}
WHERE said.source = 'grader' AND said.is_current AND said.voided_at IS NULL {{only}}
"""  # noqa: S608 - put together of constants


class TooFewBlindLabels(RuntimeError):
    """Too little is known of the graders of a category, and nobody said that it is switched on all the same."""


@dataclass(frozen=True)
class GraderRecord:
    """The version of a grader whose word would count in a category, against people; None: nobody judged the same."""

    grader: str
    concordance: Concordance | None

    @property
    def blind_count(self) -> int:
        """Return on how many answers, judged blind by people, the grader said right or wrong: unsure labels nothing."""
        if self.concordance is None:
            return 0
        return self.concordance.n - sum(
            self.concordance.count(Verdict.UNSURE, verdict) for verdict in (Verdict.CORRECT, Verdict.INCORRECT)
        )


@dataclass(frozen=True)
class GraderSwitch:
    """Whether graders may label in one category, who they are, and how many labels they gave there already."""

    category: Category
    is_on: bool
    graders: tuple[GraderRecord, ...]
    label_count: int

    @property
    def blind_count(self) -> int:
        """Return how much is known of the grader that is known least."""
        return min((one.blind_count for one in self.graders), default=0)

    @property
    def needs_confirmation(self) -> bool:
        """Tell whether switching it on wants a word that it is meant all the same."""
        return not self.is_on and self.blind_count < FEWEST_BLIND

    @property
    def doubt(self) -> str:
        """Return in a sentence how little is known."""
        if not self.graders:
            return f"No grader has graded an answer in {self.category} yet, so nothing is known of its precision."
        least = min(self.graders, key=lambda one: one.blind_count)
        return (
            f"{least.grader} was held against people on {least.blind_count} answers of {self.category} that were "
            f"judged blind; below {FEWEST_BLIND} its precision says little."
        )


def grader_switches() -> list[GraderSwitch]:
    """Return the switch of every category, by name; grades and labels are counted as `count_rows` does it."""
    known = {(one.grader, one.category): one for one in compare_graders().graders}
    latest: dict[int, dict[str, int]] = {}
    for (category_id, grader, version), _ in count_rows(_GRADES, width=3):  # the latest version of each comes last
        latest.setdefault(category_id, {})[grader] = version
    labels = {category_id: count for (category_id,), count in count_rows(_LABELS, width=1)}
    return [
        GraderSwitch(
            one.category,
            one.graders_may_label,
            tuple(
                GraderRecord(grader, known.get((grader, one.category.name)))
                for grader in (f"{name}@{version}" for name, version in sorted(latest.get(one.category.pk, {}).items()))
            ),
            labels.get(one.category.pk, 0),
        )
        for one in rules_in_force()
    ]


def switch_graders(
    *, switch: GraderSwitch, is_on: bool, person_id: int | None, is_confirmed: bool = False
) -> JudgementRule:
    """Let the graders label in a category, or not any more.

    Raises:
        TooFewBlindLabels: it would be switched on with fewer than `FEWEST_BLIND` blind labels, and is not confirmed.
    """
    if is_on and switch.needs_confirmation and not is_confirmed:
        raise TooFewBlindLabels(switch.doubt)
    return switch_graders_in(category=switch.category, is_on=is_on, person_id=person_id)


def switch_on_where_nobody_decided(*, category_names: Collection[str]) -> list[str]:
    """Let graders label in those categories that have no rule of their own; return the names of these.

    For a demo, in which nobody judges: an admin's own rule, on or off, is left alone.
    """
    undecided = Category.objects.filter(name__in=category_names, judgement_rules__isnull=True).order_by("name")
    for category in undecided:
        switch_graders_in(category=category, is_on=True, person_id=None)
    return [category.name for category in undecided]
