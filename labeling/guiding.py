"""The guidelines that annotators follow: which one is in force, and the ones that come with GreenLLM."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from django.db.models import Q

from benchmarks.models import Category
from labeling.models import Guideline
from labeling.word_diff import Piece, compare_words

_TEXTS = Path(__file__).parent / "guideline_texts"
_MOST_VERSIONS = 50
_IN_FORCE = """
SELECT DISTINCT ON (category_id) * FROM labeling_guideline
WHERE category_id = ANY(%s) OR category_id IS NULL ORDER BY category_id, version DESC, id DESC
"""


@dataclass(frozen=True)
class GuidelineVersion:
    """One version of a guideline, and how it differs from the one before; no changes in a first version."""

    guideline: Guideline
    changes: tuple[Piece, ...]


def guidelines_in_force(category_ids: Iterable[int]) -> dict[int, Guideline]:
    """Return the latest guideline of each category, in one query; the one for every category stands in."""
    wanted = set(category_ids)
    latest = {guideline.category_id: guideline for guideline in Guideline.objects.raw(_IN_FORCE, [list(wanted)])}
    general = latest.get(None)
    found = {category_id: latest.get(category_id, general) for category_id in wanted}
    return {category_id: guideline for category_id, guideline in found.items() if guideline is not None}


def guideline_versions(category: Category) -> tuple[GuidelineVersion, ...]:
    """Return the versions of a category's guideline, the one in force first; of the general one where it has none."""
    rows = Guideline.objects.filter(Q(category=category) | Q(category__isnull=True)).order_by("-version", "-pk")
    found = list(rows[: 2 * _MOST_VERSIONS])
    own = [one for one in found if one.category_id == category.pk] or found
    texts = [one.text for one in own]
    changes = [compare_words(before, after) for after, before in pairwise(texts)]
    return tuple(map(GuidelineVersion, own, [*changes, ()]))


def ensure_guidelines() -> int:
    """Give each category that has no guideline the one that comes with GreenLLM; return how many are new."""
    texts = {path.stem: path.read_text(encoding="utf8").strip() for path in sorted(_TEXTS.glob("*.txt"))}
    lacking = Category.objects.filter(name__in=texts, guidelines__isnull=True).order_by("name")
    made = [Guideline(category=category, version=1, text=texts[category.name]) for category in lacking]
    return len(Guideline.objects.bulk_create(made, ignore_conflicts=True))
