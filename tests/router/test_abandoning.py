"""The rows of processes that went away."""

from datetime import datetime, timedelta

import pytest

from router.abandoning import abandon_lost
from router.models import GatewayRequest, UpstreamAttempt, WebProcess
from tests import factories as make

pytestmark = pytest.mark.django_db

SILENT, LONGEST = timedelta(minutes=1), timedelta(hours=1)


def make_process(seen_at: datetime) -> WebProcess:
    return WebProcess.objects.create(host="here", number=1, started_at=make.NOW, seen_at=seen_at)


def abandon(later: timedelta) -> int:
    return abandon_lost(now=make.NOW + later, silent=SILENT, longest=LONGEST)


class TestAbandonLost:
    def test_closes_what_a_silent_process_left_behind(self) -> None:
        gone = make_process(make.NOW)
        request = make.make_gateway_request(process=gone, finished_at=None)
        UpstreamAttempt.objects.create(request=request, deployment=make.make_deployment("small"), started_at=make.NOW)
        assert abandon(timedelta(minutes=2)) == 1
        request.refresh_from_db()
        attempt = request.attempts.get()
        assert (request.state, request.process, request.error_code) == ("abandoned", None, "ProcessGone")
        assert (attempt.outcome, attempt.finished_at) == ("abandoned", make.NOW + timedelta(minutes=2))
        assert not WebProcess.objects.exists()

    def test_leaves_those_of_a_process_that_is_there(self) -> None:
        request = make.make_gateway_request(process=make_process(make.NOW + timedelta(hours=5)))
        assert abandon(timedelta(hours=5)) == 0
        request.refresh_from_db()
        assert request.state == "running"

    @pytest.mark.parametrize(("minutes", "expected"), [(59, 0), (61, 1)])
    def test_closes_those_of_no_process_by_their_age(self, minutes: int, expected: int) -> None:
        make.make_gateway_request()
        assert abandon(timedelta(minutes=minutes)) == expected

    def test_leaves_what_has_ended(self) -> None:
        make.make_gateway_request(state=GatewayRequest.State.ANSWERED)
        assert abandon(timedelta(days=5)) == 0
