"""Suggest whether a short answer names the accepted facts: all, some or none of them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from labeling.grading.base import Suggestion
from labeling.grading.text import accepted_answers, contains_words

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS)
_DATES = (
    re.compile(rf"\b(?P<month>{_MONTH})\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})\b", re.I),
    re.compile(
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+(?P<month>{_MONTH})\.?,?\s+(?P<year>\d{{4}})\b", re.I
    ),
    re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})\b"),
    re.compile(r"\b(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})\b"),  # Freebase's way, the American one
)
_SEPARATORS = re.compile(r"[,;\n\u2022]|\s[-*/]\s|\band\b|\bor\b|&", re.I)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_DROPPED = re.compile(r"['\u2018\u2019.`*_]")
_NEGATED = r"\b(?:not|never|isnt|wasnt|arent|werent|dont|doesnt|didnt|neither|nor|without)\b(?: \w+){0,2} "
_NEAR = 0.5
_WORDS_OF_A_DATE = 4
_KEPT = "\ue000"  # of the private use area: it stands for nothing in any text
_KEPT_PLACE = re.compile(rf"{_KEPT}(\d+){_KEPT}")


@dataclass(frozen=True)
class _Comparison:
    hits: tuple[str, ...]
    missing: tuple[str, ...]
    precision: float
    is_exact: bool
    denied: str

    @property
    def f1(self) -> float:
        recall = len(self.hits) / (len(self.hits) + len(self.missing))
        return 2 * self.precision * recall / (self.precision + recall) if self.hits else 0.0


class AnswerListGrader:
    """Looks for the accepted answers of a question in an answer, after folding what does not matter.

    Checks: `answers`, the accepted facts. A reference may list facts of which one would do, or all that are asked
    for; it does not say which. So an answer with all of them and little else is `correct`, one with none is
    `incorrect`, and one with some, with much else, or with something near is `unsure`.
    """

    name = "answer_list"
    version = 1

    def grade(self, *, answer: str, checks: Mapping[str, Any], reference: str = "", item: str = "") -> Suggestion:
        """Suggest a verdict; the score is F1 over the set of facts."""
        accepted = accepted_answers(checks, "answers")
        found = _compare(answer, accepted)
        evidence = {"found": list(found.hits), "missing": list(found.missing), "is_exact": found.is_exact}
        total = len(found.hits) + len(found.missing)
        if not found.hits:
            near = max(
                _token_f1(part, fold_answer(gold)) for part in items_in(answer, accepted) or [""] for gold in accepted
            )
            if near >= _NEAR:
                return Suggestion("unsure", "It holds no accepted answer, but something near one.", 0.0, evidence)
            return Suggestion("incorrect", "It holds none of the accepted answers.", 0.0, evidence)
        if found.denied:
            return Suggestion("unsure", f"It seems to deny {found.denied!r}.", found.f1, evidence)
        if found.missing:
            reason = f"It holds {len(found.hits)} of {total} accepted answers; one may do, or all may be asked for."
            return Suggestion("unsure", reason, found.f1, evidence)
        if found.precision < _NEAR:
            return Suggestion("unsure", "It holds the accepted answers among much else.", found.f1, evidence)
        reason = "It equals the reference." if found.is_exact else "It holds every accepted answer."
        return Suggestion("correct", reason, found.f1, evidence)


def fold_answer(text: str) -> str:
    """Return a text without case, accents, punctuation and articles; its dates stand once more at the end."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    words = re.sub(r"[^\w\s]", " ", _DROPPED.sub("", plain))
    without_articles = _ARTICLES.sub(" ", words)
    kept = without_articles if without_articles.strip() else words  # "The The" is a band
    return " ".join([*kept.split(), *dates_in(text)])


def dates_in(text: str) -> Iterator[str]:
    """Give each full date of a text as eight digits, such as 18410304."""
    for pattern in _DATES:
        for found in pattern.finditer(text):
            month = found["month"].casefold()
            number = int(month) if month.isdigit() else [name[:3] for name in _MONTHS].index(month[:3]) + 1
            try:
                yield date(int(found["year"]), number, int(found["day"])).strftime("%Y%m%d")
            except ValueError:
                continue


def _compare(answer: str, accepted: Sequence[str]) -> _Comparison:
    golds = {gold: plain for gold in dict.fromkeys(accepted) if (plain := fold_answer(gold))}
    folded = fold_answer(answer)
    hits = tuple(gold for gold, plain in golds.items() if _holds(folded, plain, gold))
    missing = tuple(gold for gold in golds if gold not in hits)
    items = items_in(answer, accepted)
    fitting = [item for item in items if any(_holds(item, golds[hit], hit) for hit in hits)]
    # a gold across the separators of the answer is in no item of it, but it is in the answer
    precision = len(fitting) / len(items) if fitting else float(bool(hits))
    denied = next((hit for hit in hits for item in items if _is_denied(item, golds[hit])), "")
    is_exact = folded in golds.values() or set(items) == set(golds.values())
    return _Comparison(hits, missing, precision, is_exact, denied)


def _holds(folded: str, plain_gold: str, gold: str) -> bool:
    """Tell whether a folded text holds an answer: its words, or where it is a date, that day in any way of writing."""
    if contains_words(folded, plain_gold):
        return True
    day = next(dates_in(gold), None)
    return day is not None and len(gold.split()) <= _WORDS_OF_A_DATE and contains_words(folded, day)


def items_in(answer: str, accepted: Sequence[str]) -> list[str]:
    """Return the parts of an answer that is a list, folded. Commas inside an accepted answer or a date do not part."""
    whole = sorted((gold for gold in accepted if gold.strip()), key=len, reverse=True)
    patterns = [*_DATES, *(re.compile(re.escape(gold), re.I) for gold in whole)]
    kept: list[str] = []
    answer = answer.replace(_KEPT, " ")

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"{_KEPT}{len(kept) - 1}{_KEPT}"

    for pattern in patterns:
        answer = pattern.sub(keep, answer)
    parts = _SEPARATORS.split(answer)
    restored = (_KEPT_PLACE.sub(lambda found: kept[int(found[1])], part) for part in parts)
    return [item for part in restored if (item := fold_answer(part))]


def _is_denied(item: str, plain_gold: str) -> bool:
    return re.search(_NEGATED + re.escape(plain_gold), item) is not None


def _token_f1(first: str, second: str) -> float:
    """Return the harmonic mean of precision and recall over words, as SQuAD counts it."""
    one, other = Counter(first.split()), Counter(second.split())
    shared = sum((one & other).values())
    return 2 * shared / (sum(one.values()) + sum(other.values())) if shared else 0.0
