"""Small changes such as people, a study and the router make all day, so that pages are asked for with each behind them.

All are of the study that the pages of the bench show. They stay in a folder that is kept.
"""

import uuid
from typing import Any

_STRIDE = 7919  # answers between one that is judged and the next: a prime, so that every kind of answer comes in turn
_JUDGE = "bench-judge"  # somebody who has judged nothing before


class Changes:
    """Makes a label, a change of a response's state and a routed request with its decision, each time it is asked.

    The label is a person's, of an answer that this person has not judged; the response goes from finished to failed
    and back.
    """

    def __init__(self) -> None:
        from benchmarks.models import Study
        from greenllm.models import User
        from tests import factories as make

        self._judge = User.objects.filter(username=_JUDGE).first() or make.make_user(_JUDGE)
        self._responses = Study.objects.filter(kind="measured").latest("pk").responses.order_by("pk")
        self._place = self._judge.labels.count()

    def make(self) -> None:
        """Make one change of each kind, each in a transaction of its own."""
        from django.utils import timezone

        from tests import factories as make

        count = self._responses.count()
        judged: Any = self._responses[self._place * _STRIDE % count]
        make.make_label(judged, "incorrect", labeler=self._judge, created_at=timezone.now())
        self._turn_state()
        now = timezone.now()
        request = make.make_gateway_request(public_id=f"req_{uuid.uuid4().hex}", started_at=now, finished_at=now)
        make.make_decision(request=request, chosen=judged.deployment, decided_at=now)
        self._place += 1

    def _turn_state(self) -> None:
        first = self._responses[0]
        state = "failed" if first.state == "finished" else "finished"
        self._responses.filter(pk=first.pk).update(state=state, error="Refused." if state == "failed" else "")
