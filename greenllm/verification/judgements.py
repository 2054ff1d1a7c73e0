"""Whether verdicts, leases and counts follow from the labels and rows that they are made of."""

from collections.abc import Sequence

from greenllm.rollups import check_rollups
from greenllm.verification.tally import Tally, one_moment
from labeling.models import CurrentAnswer
from labeling.verdicts import UNDECIDED, Decision, verdicts_of

_CHUNK = 1000
_OVERTAKEN = """
SELECT 'label ' || older.id || ' is current, and label ' || newer.id || ' has replaced it'
FROM labeling_label AS newer JOIN labeling_label AS older ON older.id = newer.supersedes_id WHERE older.is_current
UNION ALL
SELECT 'response ' || response_id || ' has ' || count(*) || ' current labels of one ' || source || ' (' || kind || ')'
FROM labeling_label WHERE is_current AND voided_at IS NULL AND source <> 'imported'
GROUP BY response_id, source, labeler_id, kind HAVING count(*) > 1
"""
_HELD_TWICE = """
SELECT 'slot ' || slot || ' (' || kind || ') of response ' || response_id || ' is leased ' || count(*) || ' times'
FROM labeling_lease WHERE slot IS NOT NULL GROUP BY response_id, kind, slot HAVING count(*) > 1
UNION ALL
SELECT 'response ' || response_id || ' is leased ' || count(*) || ' times to person ' || annotator_id
FROM labeling_lease GROUP BY response_id, annotator_id HAVING count(*) > 1
"""


def check_verdicts() -> Tally:
    """Decide every answer anew from its labels, by the rule in words, and hold what is counted against that."""
    tally = Tally()
    facts = CurrentAnswer.objects.order_by("response_id").values_list("response_id", "verdict", "verdict_source")
    seen_id = 0
    while True:
        with one_moment():
            chunk = list(facts.filter(response_id__gt=seen_id)[:_CHUNK])
            _hold(tally, chunk)
        if not chunk:
            return tally
        tally.look(len(chunk))
        seen_id = chunk[-1][0]


def check_labels() -> Tally:
    """Look for a label that counts though another one took its place, and for judges who count twice."""
    tally = Tally()
    tally.sentences(_OVERTAKEN, of="labeling_label")
    return tally


def check_leases() -> Tally:
    """Look for an answer that is held for more people than it has places, or twice for one person."""
    tally = Tally()
    tally.sentences(_HELD_TWICE, of="labeling_lease")
    return tally


def check_counts() -> Tally:
    """Count every rollup anew."""
    tally = Tally()
    for one in check_rollups():
        tally.look(one.row_count)
        if one.wrong_count:
            tally.broken(f"{one.name}: {one.wrong_count:,} wrong; manage.py check_rollups --repair counts them anew")
    return tally


def _hold(tally: Tally, chunk: Sequence[tuple[int, str, str]]) -> None:
    decided = verdicts_of(response_id for response_id, _, _ in chunk)
    for response_id, verdict, source in chunk:
        decision = decided.get(response_id, UNDECIDED)
        if (verdict, source) != (_verdict_of(decision), decision.source):
            tally.broken(
                f"response {response_id} counts as {verdict or 'unjudged'} ({source or 'nobody'}), its labels say "
                f"{_verdict_of(decision) or 'unjudged'} ({decision.source or 'nobody'})"
            )


def _verdict_of(decision: Decision) -> str:
    if not decision.source:
        return ""
    return {True: "correct", False: "incorrect", None: "disputed"}[decision.is_correct]
