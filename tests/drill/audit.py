"""Hold what the loads were promised against what Postgres has: nothing lost, nothing twice."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import psycopg

from tests.drill.loads import Journal

_VOTES = """
    SELECT labeler_id, response_id, verdict FROM labeling_label
    WHERE source = 'person' AND is_current AND voided_at IS NULL AND labeler_id = ANY(%s)
"""
_FINISHED = """
    SELECT response.id, response.text, response.measurement_id,
        (SELECT count(*) FROM benchmarks_responseattempt attempt
         WHERE attempt.response_id = response.id AND attempt.outcome = 'finished')
    FROM benchmarks_response response WHERE response.study_id = %s AND response.state = 'finished'
"""


@dataclass
class Audit:
    """What was found so far; `finished` are the texts of responses that were seen finished, as digests."""

    people: list[int]
    study_id: int
    finished: dict[int, str] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)

    def look(self, connection: psycopg.Connection, journal: Journal, *, is_last: bool = False) -> None:
        """Count anew what is lost and what is there twice; what nobody was promised only at the end."""
        votes = [vote for _, vote in list(journal.votes)]
        asked = [public_id for _, public_id in list(journal.answers)]
        stored = Counter(connection.execute(_VOTES, [self.people]).fetchall())
        self.lost["votes"] = sum((Counter(votes) - stored).values())
        if is_last:
            self.doubled["votes"] = sum((stored - Counter(votes)).values())
        answered = Counter(
            str(row[0])
            for row in connection.execute(
                "SELECT public_id FROM router_gatewayrequest WHERE state = 'answered' AND public_id = ANY(%s)", [asked]
            )
        )
        self.lost["answers"] = sum((Counter(set(asked)) - answered).values())
        self.doubled["answers"] = sum(count - 1 for count in answered.values()) + len(asked) - len(set(asked))
        self._look_at_study(connection)

    def _look_at_study(self, connection: psycopg.Connection) -> None:
        rows = connection.execute(_FINISHED, [self.study_id]).fetchall()
        now = {int(key): hashlib.sha256(str(text).encode()).hexdigest() for key, text, _, _ in rows}
        self.lost["responses"] = sum(now.get(key) != digest for key, digest in self.finished.items())
        measurements = Counter(row[2] for row in rows if row[2] is not None)
        twice = sum(row[3] != 1 for row in rows)
        self.doubled["responses"] = twice + sum(count - 1 for count in measurements.values())
        self.finished.update(now)
