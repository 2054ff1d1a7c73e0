"""What people said, as columns of numbers in the order of time; after a change only labels of changed answers are read.

Figures by days, or by so many labels, are sums over stretches of these columns: numpy adds up a million labels in less
time than Postgres needs to read a tenth of them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.binary_reading import binary_cursor
from labeling.packing import (
    Whole,
    fewest_bytes,
    packed_columns,
    roomy,
    unpacked_columns,
    unpacked_floats,
    unpacked_whole,
    widened,
)
from labeling.renewing import Packing, Renewals, Touched, renewed
from labeling.tallies import CURRENT, LONGEST_SECONDS
from labeling.unchanged import JUDGED

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# what is so of a label, a bit each
_FACTS = {
    "is_judgement": "said.kind = 'judgement'",
    "is_correct": "said.kind = 'judgement' AND said.verdict = 'correct'",
    "on_gold": "gold.verdict IS NOT NULL",
    "as_gold": "said.verdict = gold.verdict",
    "on_earlier": "said.earlier IS NOT NULL",
    "as_earlier": "said.verdict = said.earlier",
    "on_graded": "graded.verdict IS NOT NULL",
    "as_graded": "said.verdict = graded.verdict",
}
_WHOLE = {
    "id": "said.id", "response": "said.response_id", "person": "said.labeler_id",
    "moment_us": "(extract(epoch FROM said.created_at) * 1000000)::bigint",
    "facts": " + ".join(f"coalesce(({sql})::int, 0) * {1 << bit}" for bit, sql in enumerate(_FACTS.values())),
}  # fmt: skip
# numbers as Postgres has them in memory, 8 bytes each
_PACKED = ", ".join(f"string_agg(int8send(({sql})::bigint), '')" for sql in _WHOLE.values())
_OF_ANSWERS = "AND response_id = ANY(%(ids)s)"
_LABELS = f"""
SELECT {_PACKED}, string_agg(float8send(coalesce(said.seconds, 'NaN')), '')
FROM (
    SELECT id, response_id, labeler_id, kind, verdict, saw_evidence, created_at,
           CASE WHEN active_seconds IS NOT NULL THEN least(active_seconds, %(longest)s) END AS seconds,
           CASE WHEN kind = 'self_check' THEN (
               SELECT first.verdict FROM labeling_label AS first
               WHERE first.response_id = label.response_id AND first.labeler_id = label.labeler_id
               AND first.source = 'person' AND first.is_current AND first.voided_at IS NULL AND first.kind = 'judgement'
           ) END AS earlier
    FROM labeling_label AS label WHERE {CURRENT} AND kind <> 'adjudication' {{only}}
) AS said
LEFT JOIN labeling_goldanswer AS gold
    ON said.kind = 'judgement' AND gold.response_id = said.response_id AND gold.retired_at IS NULL
LEFT JOIN (
    SELECT DISTINCT ON (response_id) response_id, verdict FROM labeling_grade WHERE true {{only}}
    ORDER BY response_id, grader_version DESC, id DESC
) AS graded
    ON said.kind = 'judgement' AND NOT said.saw_evidence AND graded.response_id = said.response_id
    AND graded.verdict <> 'unsure'
"""  # noqa: S608 - put together of constants
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 24 * 60 * 60 * 1_000_000


@dataclass(frozen=True)
class LabelColumns:
    """Current labels of people but for adjudications, in the order of time; `seconds` are NaN where none were timed.

    `seconds` are active ones, `LONGEST_SECONDS` a label at most; `moment_us` counts from 1970 in microseconds (UTC).
    """

    whole: dict[str, Whole]
    seconds: Floats

    def __len__(self) -> int:
        return len(self.seconds)

    def at(self, rows: npt.NDArray[np.intp] | Flags) -> "LabelColumns":
        """Return those rows, in that order."""
        return LabelColumns({name: column[rows] for name, column in self.whole.items()}, self.seconds[rows])

    def of(self, person_id: int) -> "LabelColumns":
        """Return what one person said."""
        return self.at(self.people == person_id)

    @property
    def people(self) -> Whole:
        """Return who gave each label."""
        return self.whole["person"]

    @property
    def days(self) -> Whole:
        """Return the day of each label (UTC), counted from the first."""
        days = self.whole["moment_us"] // _DAY_US
        return days - days[0] if len(self) else days

    def between(self, first: int, after: int) -> "LabelColumns":
        """Return the rows from one to before another."""
        return LabelColumns(
            {name: column[first:after] for name, column in self.whole.items()}, self.seconds[first:after]
        )

    def counts(self, fact: str, ends: Sequence[tuple[int, int]]) -> list[int]:
        """Return of how many labels something is so in each of some stretches of rows, one after the other.

        The stretches have a row each at least, and there is none between them.
        """
        if not ends:
            return []
        is_so = self.whole["facts"] >> list(_FACTS).index(fact) & 1
        counts: list[int] = np.add.reduceat(is_so, [first for first, _ in ends], dtype=np.int64).tolist()
        return counts

    def moment(self, row: int) -> datetime:
        """Return when a label was given."""
        return _EPOCH + timedelta(microseconds=int(self.whole["moment_us"][row]))

    def in_order(self) -> "LabelColumns":
        """Return the labels in the order of time; those of one moment in the order of their ids."""
        return self.at(np.lexsort((self.whole["id"], self.whole["moment_us"])))._in_few_bytes()

    def with_others(self, others: "LabelColumns") -> "LabelColumns":
        """Return labels in order with others that are in order, too."""
        moments, theirs = self.whole["moment_us"], others.whole["moment_us"]
        at = np.searchsorted(moments, theirs)
        if np.any(moments[at[at < len(moments)]] == theirs[at < len(moments)]):  # the order is that of the ids
            both = {name: np.concatenate([column, others.whole[name]]) for name, column in self.whole.items()}
            return LabelColumns(both, np.concatenate([self.seconds, others.seconds])).in_order()
        both = {name: np.insert(widened(column), at, others.whole[name]) for name, column in self.whole.items()}
        return LabelColumns(both, np.insert(self.seconds, at, others.seconds))._in_few_bytes()

    def _in_few_bytes(self) -> "LabelColumns":
        few = {name: fewest_bytes(column) for name, column in self.whole.items() if name != "moment_us"}
        return LabelColumns({**few, "moment_us": roomy(self.whole["moment_us"])}, roomy(self.seconds))


def _packed(labels: LabelColumns) -> bytes:
    return packed_columns({**labels.whole, "seconds": labels.seconds}, None)


def _unpacked(packed: bytes) -> LabelColumns:
    columns, _ = unpacked_columns(packed)
    return LabelColumns({name: columns[name] for name in _WHOLE}, columns["seconds"])


PACKING = Packing(_packed, _unpacked, len)
_LATEST = Renewals(most=1, packing=PACKING)  # some 26 bytes a label


def label_columns() -> LabelColumns:
    """Return what people say at present; nobody may change it. Two queries, four after a change at most."""
    return renewed("labeling.label_columns", _read, _renewed, studies=[JUDGED], renewals=_LATEST)


def _renewed(before: LabelColumns, touched: Touched) -> LabelColumns:
    kept = before.at(~np.isin(before.whole["response"], list(touched.response_ids)))
    return kept.with_others(_read(touched.response_ids))


def _read(response_ids: Collection[int] | None = None) -> LabelColumns:
    """Read all labels, or those of some answers."""
    query = _LABELS.format(only="" if response_ids is None else _OF_ANSWERS)
    with binary_cursor() as cursor:
        cursor.execute(query, {"longest": LONGEST_SECONDS, "ids": list(response_ids or ())})
        *whole, seconds = cursor.fetchone()
    columns: dict[str, Whole] = {name: unpacked_whole(one) for name, one in zip(_WHOLE, whole, strict=True)}
    return LabelColumns(columns, unpacked_floats(seconds)).in_order()
